// How fresh the page is, in words: live, paused, a drill, outdated, ended.

import { plain } from '../format';
import { TICK_MS } from './messages';
import type { Run } from './run';
import type { Site } from './site';
import { startOf } from './tick-totals';

export type StatusState = 'off' | 'wait' | 'stale' | 'paused' | 'past' | 'drill' | 'live';
export interface Status {
  state: StatusState;
  text: string;
  /** Whether what is shown is now: a drill is live, too. */
  live: boolean;
}

/** Ticks that take longer than this have their remaining time shown, in ms. */
const LONG_TICK_MS = 30_000;
/** How long devices may take to reconnect after a drill, in ms. */
const RECONNECT_MS = 8_000;

/** An outage drill: the clock states it in one phase, and devices stay offline for as long as it says. */
export class Drill {
  private endsAt = -Infinity;
  private stated = 0;

  update({ tick }: Run, nowMs: number): void {
    const outageS = tick?.settings.outage_s ?? 0;
    if (outageS && outageS !== this.stated) this.endsAt = nowMs + outageS * 1000;
    this.stated = outageS;
  }

  /** Seconds until the devices reconnect; 0 without a drill. */
  secondsLeft(nowMs: number): number {
    return Math.max(0, (this.endsAt - nowMs) / 1000);
  }

  /** Whether devices are offline because of a drill, or reconnect after it. */
  explainsOffline(nowMs: number): boolean {
    return nowMs < this.endsAt + RECONNECT_MS;
  }
}

/** The status of a site; `online` is whether the page has a connection, `nowMs` real time. */
export function statusOf(site: Site, online: boolean, drill: Drill, nowMs: number): Status {
  const { run } = site;
  const say = (state: StatusState, text: string): Status => ({ state, text, live: state === 'live' || state === 'drill' });
  const isOver = run.finished || ['finished', 'stopped'].includes(site.runState?.state ?? '');
  if (!site.viewing.live && run.tick) return say('past', site.viewing.replay ? 'Replay' : `Looking back at tick ${plain(run.tick.tick + 1)}`);
  if (isOver) return say('paused', 'Run ended');
  if (!online) return say('off', 'Not connected');
  if (!run.tick) return say('wait', 'Connected, no tick yet');
  if (run.stale(nowMs)) {
    return say('stale', run.clockOnline ? `Outdated: no tick for ${duration(nowMs - run.tickAt)}` : 'Outdated: the clock is offline');
  }
  if (run.tick.paused) return say('paused', 'Paused');
  if (!run.liveTickSeen) return say('wait', 'Connected, waiting for the next phase');
  const left = drill.secondsLeft(nowMs);
  if (left > 0) return say('drill', `Drill, ${plain(Math.ceil(left))} s left`);
  if (!isAnyOnline(site)) return say('live', 'Live – no devices');
  const next = nextTickMs(run, nowMs);
  return say('live', next > 0 ? `Live – next tick in ${duration(next)}` : 'Live');
}

function isAnyOnline({ devices }: Site): boolean {
  for (const { online } of devices.all.values()) if (online) return true;
  return false;
}

/** Real time until the next tick, in ms; NaN in lock-step, and where ticks are short. */
function nextTickMs(run: Run, nowMs: number): number {
  const { tick, paceMs } = run;
  if (!tick || (run.clock?.mode ?? tick.mode) === 'lockstep' || !(paceMs >= LONG_TICK_MS)) return NaN;
  const leftMs = ((startOf(tick) + TICK_MS - tick.simulated_ms) / TICK_MS) * paceMs;
  return leftMs - (nowMs - run.tickAt);
}

/** A time as people say it: seconds up to 90, then minutes. */
function duration(ms: number): string {
  return ms < 90_000 ? `${plain(Math.ceil(ms / 1000))} s` : `${plain(Math.ceil(ms / 60_000))} min`;
}
