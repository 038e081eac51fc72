// Where the run stands: tick, clock state, pace, and how fresh all of it is.

import type { ClockState, Tick } from './messages';

/** What a tick message meant: nothing new, another phase, another tick, or a new run. */
export type Progress = 'outdated' | 'phase' | 'tick' | 'run';

export class Run {
  tick: Tick | null = null;
  clock: ClockState | null = null;
  /** Whether the clock is online, as far as the broker knows. */
  clockOnline = true;
  /** Whether a phase has begun since the page connected: what a broker retains may be of a fleet that has stopped. */
  liveTickSeen = false;
  /** Real time of the last tick message, in ms. */
  tickAt = 0;
  /** The highest revision of any control that was received. */
  revision = 0;
  /** Whether what is shown stands still on purpose: an earlier tick, or the end of a run. */
  frozen = false;
  /** Real time at which mode, speed or pause last changed, in ms. */
  private paceAt = 0;
  private bidAt = 0;
  private measuredTickMs = NaN;

  /** Take a tick message; `nowMs` is real time. */
  onTick(tick: Tick, retained: boolean, nowMs: number): Progress {
    const before = this.tick;
    if (before && tick.epoch < before.epoch) return 'outdated';
    const newRun = before !== null && tick.epoch > before.epoch;
    if (newRun) this.restart();
    else if (before && tick.tick < before.tick) return 'outdated';
    const known = this.tick;
    if (!retained || !known) this.tickAt = nowMs;
    this.tick = tick;
    this.liveTickSeen ||= !retained;
    if (tick.tick === known?.tick) return 'phase';
    this.measure(tick, known, nowMs);
    return newRun ? 'run' : 'tick';
  }

  /** Take the clock's report. */
  onClock(clock: ClockState, nowMs = 0): void {
    const before = this.pace;
    this.clock = clock;
    const { pace } = this;
    if (before?.mode !== pace?.mode || before?.paused !== pace?.paused || before?.seconds_per_tick !== pace?.seconds_per_tick) {
      this.paceAt = nowMs;
    }
    this.revision = Math.max(this.revision, clock.revision);
  }

  get finished(): boolean {
    return this.clock?.status === 'finished';
  }

  /** Mode, speed and pause in force: the clock reports a change at once, its next tick message may be minutes away. */
  get pace(): Pick<Tick, 'mode' | 'seconds_per_tick' | 'paused'> | null {
    const { tick, clock } = this;
    return tick && clock && clock.revision > tick.revision ? clock : tick;
  }

  /** Real milliseconds that a tick takes, as announced or as measured; NaN when unknown. */
  get paceMs(): number {
    const { pace } = this;
    if (!pace) return NaN;
    return pace.seconds_per_tick > 0 ? pace.seconds_per_tick * 1000 : this.measuredTickMs;
  }

  /** Whether what is shown is older than two ticks at the pace in force. */
  stale(nowMs: number): boolean {
    const { pace } = this;
    if (!pace || pace.paused || this.finished || this.frozen) return false;
    if (!this.clockOnline) return true;
    const paceMs = Number.isFinite(this.paceMs) ? this.paceMs : 5_000;
    const since = Math.max(this.tickAt, this.paceAt);
    return nowMs - since > Math.max(2 * paceMs, pace.seconds_per_tick > 0 ? 1_500 : 10_000);
  }

  /** Forget everything. */
  clear(): void {
    this.restart();
    this.clockOnline = true;
    this.tickAt = this.paceAt = this.bidAt = this.revision = 0;
    this.frozen = false;
  }

  private measure(tick: Tick, known: Tick | null, nowMs: number): void {
    if (known && tick.tick === known.tick + 1 && this.bidAt && !known.paused) {
      const took = nowMs - this.bidAt;
      this.measuredTickMs = Number.isFinite(this.measuredTickMs) ? this.measuredTickMs * 0.7 + took * 0.3 : took;
    }
    this.bidAt = nowMs;
  }

  private restart(): void {
    this.tick = this.clock = null;
    this.liveTickSeen = false;
    this.measuredTickMs = NaN;
  }
}
