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
  onClock(clock: ClockState): void {
    this.clock = clock;
    this.revision = Math.max(this.revision, clock.revision);
  }

  get finished(): boolean {
    return this.clock?.status === 'finished';
  }

  /** Real milliseconds that a tick takes, as announced or as measured; NaN when unknown. */
  get paceMs(): number {
    if (!this.tick) return NaN;
    return this.tick.seconds_per_tick > 0 ? this.tick.seconds_per_tick * 1000 : this.measuredTickMs;
  }

  /** Whether what is shown is older than two ticks. */
  stale(nowMs: number): boolean {
    if (!this.tick || this.tick.paused || this.finished) return false;
    if (!this.clockOnline) return true;
    const pace = Number.isFinite(this.paceMs) ? this.paceMs : 5_000;
    const atLeast = this.tick.seconds_per_tick > 0 ? 1_500 : 10_000;
    return nowMs - this.tickAt > Math.max(2 * pace, atLeast);
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
