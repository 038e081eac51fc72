// What comes off the wire, checked before anything else sees it. A page trusts devices no more than an agent does:
// a topic that is not ours, a number that is none, a text that is too long is dropped and counted.

export const KINDS = ['turbine', 'consumer', 'charger', 'vehicle', 'reactor'] as const;
export type Kind = (typeof KINDS)[number];
export type Mode = 'lockstep' | 'scaled' | 'realtime';
export const MODES: readonly Mode[] = ['lockstep', 'scaled', 'realtime'];
export const ALGORITHMS = ['weighted', 'best', 'cheapest', 'closest', 'random'] as const;
export const PHASES = ['bid', 'trade', 'residual', 'surplus', 'exchange', 'import', 'settle'] as const;
export type Phase = (typeof PHASES)[number];
export const SCALES = ['consumer_scale', 'vehicle_scale', 'turbine_scale', 'wind_scale'] as const;
export type Scale = (typeof SCALES)[number];
export type Settings = Record<Scale, number> & {
  algorithm: string;
  chargers_out: string;
  outage_s: number;
  note: string;
};
export type Value = number | boolean | string;

/** The words the page hears, with the number of scope levels in their topics (as in broker/protocol/topics.py). */
export const WORDS: Readonly<Record<string, number>> = {
  tick: 0,
  facts: 0,
  control: 1,
  presence: 2,
  fleet: 0,
  supply: 1,
  bid: 1,
  receipt: 1,
  call: 1,
  decline: 1,
  lease: 1,
  state: 0,
};

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$/;
const MOST_PACKAGES = 256;

export interface Topic {
  word: string;
  scope: string[];
  sender: string;
}

export interface Tick {
  tick: number;
  phase: Phase;
  simulatedMs: number;
  endsMs: number;
  mode: Mode;
  secondsPerTick: number;
  ticksLeft: number;
  paused: boolean;
  settings: Settings;
  absent: string[];
  epoch: number;
}

/** What holds for a whole run. */
export interface Facts {
  title: string;
  south: number;
  north: number;
  west: number;
  east: number;
  rows: number;
  columns: number;
  reactorUeur: number;
}

export interface CellArea {
  name: string;
  south: number;
  north: number;
  west: number;
  east: number;
}

export interface Presence {
  online: boolean;
  kind: Kind | 'clock';
  cell: string;
  latitude: number;
  longitude: number;
  label: string;
  /** The host through which it speaks, if any. */
  via: string | null;
}

export interface Package {
  index: number;
  wh: number;
  ueur: number;
}

/** A device's account of a tick; figures that its kind does not have are NaN. */
export interface State {
  kind: Kind;
  tick: number;
  latitude: number;
  longitude: number;
  measured: boolean;
  status: string;
  powerW: number;
  balanceNeur: number;
  refused: Map<string, number>;
  figures: Readonly<Record<string, number>>;
  model: string;
  nextStop: readonly [number, number] | null;
  destination: readonly [number, number] | null;
  charger: string | null;
  /** Chargers that a vehicle does not deal with any more. */
  avoids: readonly string[];
}

export interface ClockState {
  tick: number;
  status: string;
  mode: Mode;
  paused: boolean;
  secondsPerTick: number;
  ticks: number;
  settings: Settings;
  revision: number;
  refused: Map<string, number>;
}

type Raw = Readonly<Record<string, unknown>>;

export class Malformed extends Error {}

export function readTopic(site: string, text: string): Topic | null {
  const levels = text.split('/');
  const [root, itsSite, word = ''] = levels;
  if (root !== 'gridfleet' || itsSite !== site) return null;
  const scopes = WORDS[word];
  if (scopes === undefined || levels.length !== scopes + 4) return null;
  const rest = levels.slice(3);
  if (!rest.every((level) => ID.test(level))) return null;
  return { word, scope: rest.slice(0, -1), sender: rest[rest.length - 1] ?? '' };
}

export function readTick(raw: Raw): Tick {
  return {
    tick: whole(raw, 'tick'),
    phase: oneOf(raw, 'phase', PHASES),
    simulatedMs: whole(raw, 'simulated_ms'),
    endsMs: whole(raw, 'ends_ms'),
    mode: oneOf(raw, 'mode', MODES),
    secondsPerTick: number(raw, 'seconds_per_tick'),
    ticksLeft: whole(raw, 'ticks_left'),
    paused: raw['paused'] === true,
    settings: settings(raw['settings']),
    absent: list(raw['absent'], 10_000).map((each) => text(each, 48)),
    epoch: whole(raw, 'epoch'),
  };
}

export function readFacts(raw: Raw): Facts {
  const facts = {
    title: text(raw['title'], 120),
    south: within(raw, 'south', 90),
    north: within(raw, 'north', 90),
    west: within(raw, 'west', 180),
    east: within(raw, 'east', 180),
    rows: whole(raw, 'rows'),
    columns: whole(raw, 'columns'),
    reactorUeur: amount(raw, 'reactor_price_ueur_per_kwh'),
  };
  if (facts.south >= facts.north || facts.west >= facts.east) throw new Malformed('area');
  if (facts.rows < 1 || facts.rows > 1_000 || facts.columns < 1 || facts.columns > 1_000) throw new Malformed('cells');
  return facts;
}

export function readPresence(raw: Raw): Presence {
  return {
    online: raw['online'] === true,
    kind: oneOf(raw, 'kind', [...KINDS, 'clock'] as const),
    cell: text(raw['cell'], 64),
    latitude: within(raw, 'latitude', 90),
    longitude: within(raw, 'longitude', 180),
    label: text(raw['label'] ?? '', 64),
    via: typeof raw['via'] === 'string' && ID.test(raw['via']) ? raw['via'] : null,
  };
}

export function readPackages(raw: Raw, name: string): Package[] {
  return list(raw[name], MOST_PACKAGES).map((each) => {
    const lot = object(each);
    return {
      index: whole(lot, 'index'),
      wh: amount(lot, 'energy_wh'),
      ueur: amount(lot, 'price_ueur_per_kwh'),
    };
  });
}

export function readState(raw: Raw): State {
  const figures: Record<string, number> = {};
  for (const [name, value] of Object.entries(raw)) {
    if (typeof value === 'number' && Number.isFinite(value)) figures[name] = value;
  }
  return {
    kind: oneOf(raw, 'kind', KINDS),
    tick: whole(raw, 'tick'),
    latitude: within(raw, 'latitude', 90),
    longitude: within(raw, 'longitude', 180),
    measured: raw['measured'] === true,
    status: text(raw['status'], 64),
    powerW: number(raw, 'power_w'),
    balanceNeur: number(raw, 'balance_neur'),
    refused: counts(raw['refused']),
    figures,
    model: text(raw['model'] ?? '', 64),
    nextStop: place(raw['next_stop']),
    destination: place(raw['destination']),
    charger: typeof raw['charger'] === 'string' && ID.test(raw['charger']) ? raw['charger'] : null,
    avoids: list(raw['avoids'] ?? [], 64).map((each) => text(each, 48)),
  };
}

export function readClock(raw: Raw): ClockState {
  return {
    tick: whole(raw, 'tick'),
    status: text(raw['status'], 64),
    mode: oneOf(raw, 'mode', MODES),
    paused: raw['paused'] === true,
    secondsPerTick: number(raw, 'seconds_per_tick'),
    ticks: whole(raw, 'ticks'),
    settings: settings(raw['settings']),
    revision: whole(raw, 'revision'),
    refused: counts(raw['refused']),
  };
}

export function readControl(raw: Raw): { value: Value; revision: number } {
  const value = raw['value'];
  if (typeof value !== 'number' && typeof value !== 'boolean' && typeof value !== 'string') {
    throw new Malformed('value');
  }
  return { value: typeof value === 'string' ? text(value, 64) : value, revision: whole(raw, 'revision') };
}

/** The reason in a decline: one of the words that chargers have for it. */
export function readReason(raw: Raw): string {
  return oneOf(raw, 'reason', ['port', 'energy', 'price', 'unknown', 'offline', 'refused'] as const);
}

export function object(value: unknown): Raw {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed('object');
  return value as Raw;
}

export function number(raw: Raw, name: string): number {
  const value = raw[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Malformed(name);
  return value;
}

export function amount(raw: Raw, name: string): number {
  const value = number(raw, name);
  if (value < 0 || value > 1e12) throw new Malformed(name);
  return value;
}

export function whole(raw: Raw, name: string): number {
  const value = number(raw, name);
  if (!Number.isSafeInteger(value) || value < 0) throw new Malformed(name);
  return value;
}

function within(raw: Raw, name: string, most: number): number {
  const value = number(raw, name);
  if (Math.abs(value) > most) throw new Malformed(name);
  return value;
}

function text(value: unknown, most: number): string {
  if (typeof value !== 'string' || value.length > most) throw new Malformed('text');
  return value;
}

function list(value: unknown, most: number): unknown[] {
  if (!Array.isArray(value) || value.length > most) throw new Malformed('list');
  return value;
}

function oneOf<T extends string>(raw: Raw, name: string, allowed: readonly T[]): T {
  const value = raw[name];
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw new Malformed(name);
  return found;
}

function settings(value: unknown): Settings {
  const raw = object(value);
  return {
    consumer_scale: number(raw, 'consumer_scale'),
    vehicle_scale: number(raw, 'vehicle_scale'),
    turbine_scale: number(raw, 'turbine_scale'),
    wind_scale: number(raw, 'wind_scale'),
    algorithm: oneOf(raw, 'algorithm', ALGORITHMS),
    chargers_out: text(raw['chargers_out'] ?? '', 64),
    outage_s: raw['outage_s'] === undefined ? 0 : number(raw, 'outage_s'),
    note: text(raw['note'] ?? '', 64),
  };
}

function counts(value: unknown): Map<string, number> {
  const found = new Map<string, number>();
  for (const [reason, count] of Object.entries(object(value)).slice(0, 64)) {
    if (reason.length <= 64 && typeof count === 'number' && Number.isFinite(count)) found.set(reason, count);
  }
  return found;
}

function place(value: unknown): readonly [number, number] | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [latitude, longitude] = value as unknown[];
  if (typeof latitude !== 'number' || typeof longitude !== 'number') return null;
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? [latitude, longitude] : null;
}
