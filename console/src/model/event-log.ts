// The log of events: settings, devices that go offline and return, refusals with their reasons.

import { clockText } from '../format';
import type { Control, Decline, Mode, Settings, Tick } from './messages';
import type { Refusals } from './tick-totals';

const MAX_ENTRIES = 250;
/** Devices that go online or offline within this time share one entry. */
const GROUP_MS = 300;
/** Refusals extend an entry that is among the newest, at most this far back. */
const EXTENDABLE_ENTRIES = 4;

export const SCALES = ['consumer_scale', 'vehicle_scale', 'turbine_scale', 'wind_scale'] as const;
const SETTING_NAMES: Readonly<Record<string, string>> = {
  consumer_scale: 'consumer demand',
  vehicle_scale: 'driving',
  turbine_scale: 'turbine output',
  wind_scale: 'wind speed',
  algorithm: 'choice of chargers',
  clearing_rule: 'clearing rule',
  seconds_per_tick: 'seconds per tick',
  ticks: 'last tick',
  step: 'ticks to run before a pause',
};
const MODE_NAMES: Readonly<Record<Mode, string>> = { lockstep: 'lock-step', scaled: 'scaled', realtime: 'real time' };
export const DECLINE_REASONS: Readonly<Record<Decline['reason'], string>> = {
  port: 'no free port',
  energy: 'not enough energy stored',
  price: 'price beyond the limit',
  offline: 'charger out of service',
  unknown: 'reservation unknown',
  refused: 'vehicle not accepted',
};
/** Why a charger declines a vehicle, and why a device ignores a message. */
const REASONS: Readonly<Record<string, string>> = {
  ...DECLINE_REASONS,
  late: 'answer came too late',
  stale: 'for a finished tick',
  early: 'for a tick that has not begun',
  duplicate: 'sent twice',
  receipt: 'receipt without a matching award',
  greedy: 'more energy requested than there is',
  fee: 'bill of a fee that is not owed',
  flood: 'too many awards',
  'broken promise': 'charger broke its promise',
  weather: 'no weather data for this time',
  'clearing rule': 'clearing rule missing or failed',
  ranking: 'offer ranking missing or failed',
  sensor: 'sensor without a reading',
  presence: 'presence under a wrong topic',
  clock: 'tick of another clock',
  control: 'unknown setting or value',
  denied: 'denied by the broker',
  version: 'other schema version',
  malformed: 'not valid JSON',
  invalid: 'invalid field',
  oversized: 'message too large',
  topic: 'unknown topic',
  unexpected: 'unexpected message',
  sender: 'not for its sender to publish',
  avoided: 'sender is avoided',
  'bid beyond limits': 'bid beyond the limits of its sender',
  'request beyond limits': 'request beyond the limits of its sender',
  'supply beyond limits': 'supply beyond the limits of its sender',
  'award beyond supply': 'award beyond the announced supply',
  'offer beyond call': 'offer beyond the call',
  'meter beyond limits': 'meter beyond what the vehicle can have drawn',
  'call beyond battery': 'call beyond the battery of its sender',
};

export type EventKind = 'setting' | 'online' | 'offline' | 'refused' | 'suspended' | 'run';
export interface LogEntry {
  id: number;
  /** Simulated time, in ms; NaN before the first tick. */
  ms: number;
  kind: EventKind;
  text: string;
  /** What was refused so far, where an entry is extended from tick to tick. */
  refusals?: Refusals;
  since?: number;
}

export class EventLog {
  /** Newest first. */
  entries: LogEntry[] = [];
  private written = 0;
  private changes: { online: boolean; id: string; at: number; ms: number }[] = [];

  constructor(private readonly simulatedMs: () => number) {}

  add(kind: EventKind, text: string, ms = this.simulatedMs()): void {
    this.entries.unshift({ id: ++this.written, ms, kind, text });
    this.entries.length = Math.min(this.entries.length, MAX_ENTRIES);
  }

  /** Log what differs from the tick message before. */
  compareTicks(before: Tick, now: Tick): void {
    if (now.paused !== before.paused) this.add('run', now.paused ? 'Paused' : 'Resumed');
    if (now.mode !== before.mode) this.add('setting', `Time mode: ${modeName(now.mode)}`);
    else if (now.seconds_per_tick !== before.seconds_per_tick) {
      this.add('setting', `Seconds per tick: ${now.seconds_per_tick}`);
    }
    this.compareSettings(before.settings, now.settings);
    const absent = now.absent.filter((id) => !before.absent.includes(id));
    if (absent.length) this.add('offline', `No answer before the deadline: ${some(absent)}`);
  }

  private compareSettings(before: Settings, now: Settings): void {
    if (now.note && now.note !== before.note) this.add('run', now.note);
    for (const name of [...SCALES, 'algorithm', 'clearing_rule'] as const) {
      if (before[name] !== now[name]) this.add('setting', `Changed: ${settingName(name)} ${before[name]} → ${now[name]}`);
    }
    if (before.chargers_out !== now.chargers_out) {
      this.add('setting', now.chargers_out ? `Chargers out of service: ${now.chargers_out}` : 'All chargers in service');
    }
    if (now.outage_s && !before.outage_s) {
      this.add('run', `Outage drill: every device loses its connection for ${now.outage_s} s`);
    }
  }

  /** Log what was refused in a tick: charging requests, awards, messages. */
  addRefusals(charging: Refusals, awards: ReadonlyMap<string, number>, messages: Refusals): void {
    if (charging.size) this.extend('Charging requests declined', charging);
    if (awards.size) this.extend('Awards refused', new Map([['energy no longer needed', new Map(awards)]]));
    if (messages.size) this.extend('Messages ignored', messages);
  }

  /** Note that a device went online or offline; `flush` adds the entry, together with others. */
  presenceChanged(id: string, online: boolean, nowMs: number): void {
    this.changes.push({ online, id, at: nowMs, ms: this.simulatedMs() });
  }

  /** Add the entries of devices that went online or offline, once no other has for GROUP_MS. */
  flush(nowMs: number): void {
    const newest = this.changes[this.changes.length - 1];
    if (!newest || nowMs - newest.at < GROUP_MS) return;
    const { changes } = this;
    this.changes = [];
    for (const online of [true, false]) {
      const ids = changes.filter((each) => each.online === online).map((each) => each.id);
      if (ids.length) this.add(online ? 'online' : 'offline', `${online ? 'Online' : 'Offline'}: ${some(ids)}`, newest.ms);
    }
  }

  clear(): void {
    this.entries = [];
    this.changes = [];
    this.written = 0;
  }

  /** Add refusals to a recent entry of the same title, or write a new one, so that they do not fill the log. */
  private extend(title: string, refusals: Refusals): void {
    const at = this.entries.slice(0, EXTENDABLE_ENTRIES).findIndex((each) => each.refusals && each.text.startsWith(title));
    const before = at >= 0 ? this.entries.splice(at, 1)[0] : undefined;
    const sums = sumOf(before?.refusals, refusals);
    const since = before?.since ?? this.simulatedMs();
    this.add('refused', `${title}${before ? ` since ${clockText(since)}` : ''}: ${summary(sums)}`);
    Object.assign(this.entries[0]!, { refusals: sums, since });
  }
}

/** A control as text, for example `wind speed = 2`. */
export function describeControl(name: string, value: Control['value']): string {
  if (name === 'storm') return value === true ? 'a storm' : 'wind and turbines as at the start';
  if (name === 'outage_s') return `an outage drill of ${value} s`;
  if (name === 'chargers_out') return value ? `chargers out of service: ${value}` : 'all chargers in service';
  if (name === 'paused') return value === true ? 'pause' : 'resume';
  if (name === 'mode') return `time mode: ${modeName(String(value))}`;
  return `${settingName(name)} = ${String(value)}`;
}

export function settingName(name: string): string {
  return SETTING_NAMES[name] ?? name.replaceAll('_', ' ');
}

function modeName(mode: string): string {
  return MODE_NAMES[mode as Mode] ?? mode;
}

function sumOf(one: Refusals | undefined, other: Refusals): Refusals {
  const sums: Refusals = new Map();
  for (const refusals of one ? [one, other] : [other]) {
    for (const [reason, devices] of refusals) {
      const known = sums.get(reason) ?? new Map<string, number>();
      for (const [id, count] of devices) known.set(id, (known.get(id) ?? 0) + count);
      sums.set(reason, known);
    }
  }
  return sums;
}

function summary(refusals: Refusals): string {
  return [...refusals]
    .map(([reason, devices]) => {
      const count = [...devices.values()].reduce((all, each) => all + each, 0);
      return `${REASONS[reason] ?? reason} × ${count} (${some([...devices.keys()], 2)})`;
    })
    .join(', ');
}

function some(ids: string[], max = 4): string {
  const shown = ids.slice(0, max).join(', ');
  return ids.length > max ? `${shown} and ${ids.length - max} more` : shown;
}
