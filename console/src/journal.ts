// The log of what has happened: settings, who came and went, what was refused, by whom and why.

import { clockText, setting } from './format';
import { SCALES, type Tick } from './wire';

const KEPT = 250;
const CROWD_MS = 300;
/** An entry on refusals is carried on while it is among so many of the newest. */
const CARRIED_ON = 4;
/** Why a charger declines, and why a device does not act upon a message, in words. */
const REASONS: Readonly<Record<string, string>> = {
  port: 'no free port',
  energy: 'too little stored',
  price: 'too dear for the vehicle',
  offline: 'out of service',
  unknown: 'unknown reservation',
  late: 'answer too late',
  stale: 'outdated',
  receipt: 'receipt for nothing open',
  early: 'ahead of its tick',
  greedy: 'more than there was',
  presence: 'birth under a wrong topic',
  clock: 'tick that is not the clock\'s',
  denied: 'denied by the broker',
};

export type EventKind = 'setting' | 'online' | 'offline' | 'refused' | 'run';
export interface LogEntry {
  id: number;
  ms: number;
  kind: EventKind;
  text: string;
  /** What was refused so far, where an entry is carried on from tick to tick. */
  sums?: Sums;
  since?: number;
}
type Counts = ReadonlyMap<string, number>;
type Sums = ReadonlyMap<string, Counts>;

export class Journal {
  /** Newest first. */
  entries: LogEntry[] = [];
  private written = 0;
  private readonly crowd: { online: boolean; id: string; at: number }[] = [];

  constructor(private readonly simulatedMs: () => number) {}

  note(kind: EventKind, text: string): void {
    this.entries.unshift({ id: ++this.written, ms: this.simulatedMs(), kind, text });
    this.entries.length = Math.min(this.entries.length, KEPT);
  }

  /** Note what is other than it was in the phase before. */
  compare(before: Tick, now: Tick): void {
    if (now.paused !== before.paused) this.note('run', now.paused ? 'Paused' : 'Goes on');
    if (now.mode !== before.mode) this.note('setting', `Mode is ${now.mode}`);
    else if (now.secondsPerTick !== before.secondsPerTick) this.note('setting', `${now.secondsPerTick} s per tick`);
    const [was, is] = [before.settings, now.settings];
    if (is.note && is.note !== was.note) this.note('run', is.note);
    for (const name of [...SCALES, 'algorithm'] as const) {
      if (was[name] !== is[name]) this.note('setting', `In force: ${setting(name)} ${was[name]} → ${is[name]}`);
    }
    if (was.chargers_out !== is.chargers_out) {
      this.note('setting', is.chargers_out ? `Chargers out of service: ${is.chargers_out}` : 'All chargers in service');
    }
    if (is.outage_s && !was.outage_s) {
      this.note('run', `Outage drill: every device loses its connection for ${is.outage_s} s`);
    }
    const fresh = now.absent.filter((id) => !before.absent.includes(id));
    if (fresh.length) this.note('offline', `Let the deadline pass: ${some(fresh)}`);
  }

  /** Note what was refused in a tick: charging, awards, messages. */
  refusals(declined: Sums, unwanted: Counts, messages: Sums): void {
    if (declined.size) this.carryOn('Charging declined', declined);
    if (unwanted.size) this.carryOn('Awards refused', new Map([['not wanted any more', unwanted]]));
    if (messages.size) this.carryOn('Messages refused', messages);
  }

  /** Note refusals of a tick; add them to those of the ticks before, rather than to fill the log with them. */
  private carryOn(what: string, fresh: Sums): void {
    const at = this.entries.slice(0, CARRIED_ON).findIndex((each) => each.sums && each.text.startsWith(what));
    const before = at >= 0 ? this.entries.splice(at, 1)[0] : undefined;
    const sums = before?.sums ? added(before.sums, fresh) : fresh;
    const since = before?.since ?? this.simulatedMs();
    this.note('refused', `${what}${before ? ` since ${clockText(since)}` : ''}: ${tally(sums)}`);
    Object.assign(this.entries[0]!, { sums, since });
  }

  cameOrWent(id: string, online: boolean, nowMs: number): void {
    this.crowd.push({ online, id, at: nowMs });
  }

  /** Note who came and went: one by one, or as a crowd. Call it now and then. */
  settle(nowMs: number): void {
    const newest = this.crowd[this.crowd.length - 1];
    if (!newest || nowMs - newest.at < CROWD_MS) return;
    for (const online of [true, false]) {
      const ids = this.crowd.filter((each) => each.online === online).map((each) => each.id);
      if (ids.length) this.note(online ? 'online' : 'offline', `${online ? 'Online' : 'Offline'}: ${some(ids)}`);
    }
    this.crowd.length = 0;
  }
}

function added(one: Sums, other: Sums): Sums {
  const sums = new Map([...one].map(([reason, devices]) => [reason, new Map(devices)]));
  for (const [reason, devices] of other) {
    const known = sums.get(reason) ?? new Map<string, number>();
    for (const [id, count] of devices) known.set(id, (known.get(id) ?? 0) + count);
    sums.set(reason, known);
  }
  return sums;
}

function tally(reasons: Sums): string {
  return [...reasons]
    .map(([reason, devices]) => {
      const sum = [...devices.values()].reduce((all, each) => all + each, 0);
      return `${REASONS[reason] ?? reason} × ${sum} (${some([...devices.keys()], 2)})`;
    })
    .join(', ');
}

function some(ids: string[], most = 4): string {
  const shown = ids.slice(0, most).join(', ');
  return ids.length > most ? `${shown} and ${ids.length - most} more` : shown;
}
