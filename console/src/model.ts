// What the page knows of a site: built from messages alone, in order of arrival, without a clock or a screen.

import { Bucket, type Server } from './bucket';
import { distanceKm, wish } from './format';
import { readBatch, type Batch } from './hosts';
import { Journal } from './journal';
import {
  amount,
  Malformed,
  object,
  readClock,
  readControl,
  readPackages,
  readPresence,
  readFacts,
  readReason,
  readState,
  readTick,
  readTopic,
  whole,
  type CellArea,
  type ClockState,
  type Facts,
  type Kind,
  type Package,
  type Presence,
  type State,
  type Tick,
  type Topic,
} from './wire';

export const QUARTER_MS = 900_000;
const TICKS_KEPT = 960;
const BIDS_KEPT = 3;
const HISTORY = 192;
const MOST_DEVICES = 50_000;
const MOST_CELLS = 2_000;
const CLOCK = 'clock';

export interface Device {
  id: string;
  kind: Kind;
  cell: string;
  label: string;
  online: boolean;
  /** The host through which it speaks; null with a connection of its own. */
  via: string | null;
  state: State | null;
  latitude: number;
  longitude: number;
  /** Where it was a tick ago, and the real instant (ms) since when it is where it is. */
  before: readonly [number, number];
  movedAt: number;
  /** Its main figure at the last ticks: power, or state of charge where it has a battery. */
  history: number[];
}

export class Site {
  tick: Tick | null = null;
  clock: ClockState | null = null;
  facts: Facts | null = null;
  cells: CellArea[] = [];
  /** Whether the clock lives, as far as the broker knows. */
  clockOnline = true;
  /** Whether a phase has begun before our eyes: what the broker kept may be of a fleet that is long dead. */
  witnessed = false;
  tickAt = 0;
  tickEveryMs = NaN;
  heardAt = 0;
  malformed = 0;
  /** The highest revision of any control heard. */
  revision = 0;
  readonly devices = new Map<string, Device>();
  readonly buckets = new Map<number, Bucket>();
  readonly journal = new Journal(() => this.tick?.simulatedMs ?? NaN);
  maxPowerW = 1;
  private processAt = 0;
  private readonly calls = new Map<string, { call: number; latitude: number; longitude: number }>();
  private readonly refusals = new Map<string, Map<string, number>>();
  private readonly gone = new Set<string>();
  private bornAt = NaN;

  constructor(readonly name: string) {}

  /** Take one message, or a batch of them; `nowMs` is real time from an arbitrary beginning. */
  hear(text: string, payload: string, retained: boolean, nowMs: number): void {
    let batch: Batch | null;
    try {
      batch = readBatch(this.name, text, payload);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.malformed += 1;
      return;
    }
    if (!batch) return this.hearOne(text, payload, retained, nowMs);
    for (const [topic, inner] of batch.messages) {
      const sender = topic.slice(topic.lastIndexOf('/') + 1);
      if (this.devices.get(sender)?.via === batch.host) this.hearOne(topic, inner, retained, nowMs);
      else this.malformed += 1; // a host speaks for those whose presence names it
    }
  }

  private hearOne(text: string, payload: string, retained: boolean, nowMs: number): void {
    const topic = readTopic(this.name, text);
    if (!topic || payload === '') return;
    if (Number.isNaN(this.bornAt)) this.bornAt = nowMs;
    try {
      this.take(topic, object(JSON.parse(payload)), retained, nowMs);
    } catch (error) {
      if (!(error instanceof Malformed || error instanceof SyntaxError)) throw error;
      this.malformed += 1;
      return;
    }
    if (!retained) this.heardAt = nowMs;
  }

  private take(topic: Topic, raw: Readonly<Record<string, unknown>>, retained: boolean, nowMs: number): void {
    const { word, scope, sender } = topic;
    const [to = ''] = scope;
    switch (word) {
      case 'tick':
        return this.onTick(readTick(raw), retained, nowMs);
      case 'state':
        if (raw['kind'] === 'clock') return this.onClock(readClock(raw));
        return this.onState(sender, readState(raw), nowMs);
      case 'facts':
        if (sender === CLOCK) this.onFacts(readFacts(raw));
        return;
      case 'presence':
        return this.onPresence(sender, readPresence(raw), retained, nowMs);
      case 'fleet':
        return this.onHost(sender, raw['online'] === true, retained, nowMs);
      case 'control':
        return this.onControl(to, sender, raw, retained);
      case 'supply':
        this.bucket(whole(raw, 'tick')).supply?.set(sender, amount(raw, 'energy_wh'));
        return;
      case 'bid':
        this.bucket(whole(raw, 'tick')).bids?.set(sender, readPackages(raw, 'packages'));
        return;
      case 'receipt':
        return this.onReceipt(to, sender, whole(raw, 'tick'), whole(raw, 'serial'), readPackages(raw, 'lots'));
      case 'call':
        this.calls.set(sender, {
          call: whole(raw, 'call'),
          latitude: Number(raw['latitude']),
          longitude: Number(raw['longitude']),
        });
        return;
      case 'lease':
        return this.onLease(to, sender, whole(raw, 'call'), amount(raw, 'energy_wh'), amount(raw, 'price_ueur_per_kwh'));
      case 'decline': {
        count(this.bucket(this.tick?.tick ?? 0).declined, readReason(raw), sender);
        return;
      }
    }
  }

  /** The sums of a tick, made when first asked for; of a tick long gone, an empty one that nobody keeps. */
  bucket(tick: number): Bucket {
    let found = this.buckets.get(tick);
    if (found) return found;
    found = new Bucket(tick);
    const now = this.tick?.tick ?? tick;
    if (tick > now - TICKS_KEPT && tick <= now + 1) {
      this.buckets.set(tick, found);
      if (this.tick) found.ms = startOf(this.tick) - (now - tick) * QUARTER_MS;
    }
    return found;
  }

  /** The last tick that is over, if any. */
  get last(): Bucket | null {
    return this.tick ? (this.buckets.get(this.tick.tick - 1) ?? null) : null;
  }

  /** Buckets of all ticks that are over, oldest first. */
  over(): Bucket[] {
    const now = this.tick?.tick ?? 0;
    return [...this.buckets.values()].filter((each) => each.tick < now).sort((a, b) => a.tick - b.tick);
  }

  /** Real milliseconds that a tick takes, as told or as seen. */
  get paceMs(): number {
    const tick = this.tick;
    if (!tick) return NaN;
    return tick.secondsPerTick > 0 ? tick.secondsPerTick * 1000 : this.tickEveryMs;
  }

  /** Whether what is shown is older than two ticks. */
  stale(nowMs: number): boolean {
    if (!this.tick || this.tick.paused || this.clock?.status === 'finished') return false;
    if (!this.clockOnline) return true;
    const pace = Number.isFinite(this.paceMs) ? this.paceMs : 5_000;
    const least = this.tick.secondsPerTick > 0 ? 1_500 : 10_000;
    return nowMs - this.tickAt > Math.max(2 * pace, least);
  }

  /** Whether a device has said nothing for two ticks. */
  old(device: Device): boolean {
    const now = this.tick?.tick ?? 0;
    return !device.online || (device.state !== null && device.state.tick < now - 2);
  }

  private onTick(tick: Tick, retained: boolean, nowMs: number): void {
    const before = this.tick;
    if (before && tick.epoch < before.epoch) return;
    if (before && tick.epoch > before.epoch) this.restart();
    const known = this.tick;
    if (known && tick.tick < known.tick) return;
    if (!retained || !known) this.tickAt = nowMs;
    this.tick = tick;
    this.witnessed ||= !retained;
    if (known) this.journal.compare(known, tick);
    else if (!retained || tick.tick > 0) this.note('run', `Tick ${tick.tick + 1}: joined`);
    if (tick.tick !== known?.tick) this.onNewTick(tick, known, nowMs);
  }

  private onNewTick(tick: Tick, known: Tick | null, nowMs: number): void {
    if (known && tick.tick === known.tick + 1 && this.processAt && !known.paused) {
      const took = nowMs - this.processAt;
      this.tickEveryMs = Number.isFinite(this.tickEveryMs) ? this.tickEveryMs * 0.7 + took * 0.3 : took;
    }
    this.processAt = nowMs;
    this.bucket(tick.tick).ms = startOf(tick);
    for (const [number, bucket] of this.buckets) {
      if (number <= tick.tick - TICKS_KEPT) this.buckets.delete(number);
      else if (number <= tick.tick - BIDS_KEPT) bucket.thin();
    }
    const over = this.buckets.get(tick.tick - 1);
    if (over) this.journal.refusals(over.declined, over.unwanted, this.refusals);
    this.refusals.clear();
  }

  private onClock(clock: ClockState): void {
    const before = this.clock;
    this.clock = clock;
    this.revision = Math.max(this.revision, clock.revision);
    if (clock.status === 'finished' && before && before.status !== 'finished') {
      this.note('run', 'The run has ended');
    }
    if (before) {
      const refused = (clock.refused.get('control') ?? 0) - (before.refused.get('control') ?? 0);
      if (refused > 0) this.note('refused', 'The clock refused a control: no such setting or value');
    }
  }

  private onControl(name: string, sender: string, raw: Readonly<Record<string, unknown>>, retained: boolean): void {
    const { value, revision } = readControl(raw);
    this.revision = Math.max(this.revision, revision);
    if (!retained) this.note('setting', `${sender} asks: ${wish(name, value)}`);
  }

  /** With a host that is gone, those who speak through it are gone. */
  private onHost(host: string, online: boolean, retained: boolean, nowMs: number): void {
    if (online) {
      this.gone.delete(host);
      return;
    }
    this.gone.add(host);
    for (const device of this.devices.values()) {
      if (device.via !== host || !device.online) continue;
      device.online = false;
      if (!retained) this.journal.cameOrWent(device.id, false, nowMs);
    }
  }

  private onPresence(id: string, presence: Presence, retained: boolean, nowMs: number): void {
    if (presence.kind === 'clock') {
      if (id !== CLOCK) return;
      if (!presence.online && !retained && this.clock?.status !== 'finished') this.note('offline', 'The clock is offline');
      this.clockOnline = presence.online;
      return;
    }
    let device = this.devices.get(id);
    const was = device?.online;
    const online = presence.online && !(presence.via && this.gone.has(presence.via));
    if (!device) {
      if (this.devices.size >= MOST_DEVICES) return;
      device = {
        id,
        kind: presence.kind,
        cell: presence.cell,
        label: presence.label,
        online,
        via: presence.via,
        state: null,
        latitude: presence.latitude,
        longitude: presence.longitude,
        before: [presence.latitude, presence.longitude],
        movedAt: 0,
        history: [],
      };
      this.devices.set(id, device);
    }
    device.online = online;
    device.via = presence.via;
    device.kind = presence.kind;
    device.cell = presence.cell;
    device.label = presence.label;
    if (presence.kind !== 'vehicle' || !device.state) {
      device.latitude = presence.latitude;
      device.longitude = presence.longitude;
    }
    if (!retained && was !== online) this.journal.cameOrWent(id, online, nowMs);
  }

  private onState(id: string, state: State, nowMs: number): void {
    const device = this.devices.get(id);
    if (!device) return; // a device that nobody has introduced
    const known = device.state;
    if (known && state.tick < known.tick) return;
    const again = known !== null && state.tick === known.tick;
    device.state = state;
    if (state.latitude !== device.latitude || state.longitude !== device.longitude) {
      device.before = known ? [device.latitude, device.longitude] : [state.latitude, state.longitude];
      device.movedAt = nowMs;
      device.latitude = state.latitude;
      device.longitude = state.longitude;
    } else if (!again) {
      device.before = [state.latitude, state.longitude];
    }
    if (again) return;
    if (known) this.compareRefused(id, known, state);
    this.add(this.bucket(state.tick), id, state);
    device.history.push(mainFigure(state));
    if (device.history.length > HISTORY) device.history.shift();
  }

  private add(bucket: Bucket, id: string, state: State): void {
    const of = (name: string): number => state.figures[name] ?? 0;
    bucket.accounts += 1;
    switch (state.kind) {
      case 'turbine':
        bucket.wind += of('generated_wh');
        bucket.curtailed += of('curtailed_wh');
        bucket.balance.set(id, state.balanceNeur);
        this.maxPowerW = Math.max(this.maxPowerW, state.powerW);
        break;
      case 'reactor':
        bucket.reactor += of('sold_wh');
        bucket.balance.set(id, state.balanceNeur);
        break;
      case 'consumer':
        bucket.demand += of('demand_wh');
        bucket.bought += of('bought_wh');
        break;
      case 'charger':
        bucket.charged += of('bought_wh');
        bucket.delivered += of('delivered_wh');
        bucket.storedChargers = (bucket.storedChargers || 0) + of('stored_wh');
        break;
      case 'vehicle':
        bucket.storedVehicles = (bucket.storedVehicles || 0) + of('stored_wh');
        break;
    }
  }

  private compareRefused(id: string, known: State, state: State): void {
    for (const [reason, sum] of state.refused) {
      const more = sum - (known.refused.get(reason) ?? 0);
      if (more > 0) count(this.refusals, reason, id, more);
    }
  }

  private onReceipt(seller: string, buyer: string, tick: number, serial: number, lots: Package[]): void {
    const bucket = this.bucket(tick);
    if (!bucket.first(`${seller} ${buyer} ${serial}`)) return;
    if (!lots.length) {
      bucket.unwanted.set(buyer, (bucket.unwanted.get(buyer) ?? 0) + 1);
      return;
    }
    const [from, to] = [this.devices.get(seller), this.devices.get(buyer)];
    const by: Server = from?.kind === 'reactor' ? 'reactor' : from && to && from.cell !== to.cell ? 'imported' : 'wind';
    let served = bucket.served?.get(buyer);
    if (!served) bucket.served?.set(buyer, (served = []));
    let wh = 0;
    for (const lot of lots) {
      wh += lot.wh;
      bucket.soldNeur += lot.wh * lot.ueur;
      bucket.lowest = Math.min(bucket.lowest, lot.ueur);
      served?.push({ ...lot, by });
    }
    bucket.soldWh += wh;
    if (by === 'reactor') bucket.reactorTo.set(buyer, (bucket.reactorTo.get(buyer) ?? 0) + wh);
    if (by === 'imported' && from && to) {
      const way = `${from.cell}>${to.cell}`;
      bucket.flows.set(way, (bucket.flows.get(way) ?? 0) + wh);
    }
  }

  private onLease(vehicle: string, charger: string, call: number, wh: number, ueur: number): void {
    const asked = this.calls.get(vehicle);
    const at = this.devices.get(charger);
    if (!asked || asked.call !== call || !at || !this.tick) return; // the answer to a heartbeat
    this.calls.delete(vehicle);
    const bucket = this.bucket(this.tick.tick);
    bucket.accepted += 1;
    bucket.acceptedUeur += ueur;
    bucket.acceptedNeur += wh * ueur;
    bucket.acceptedKm += distanceKm(asked.latitude, asked.longitude, at.latitude, at.longitude);
  }

  private restart(): void {
    this.tick = this.clock = null;
    this.witnessed = false;
    this.tickEveryMs = NaN;
    this.buckets.clear();
    this.calls.clear();
    this.refusals.clear();
    for (const device of this.devices.values()) {
      device.state = null;
      device.history = [];
      device.movedAt = 0;
      device.before = [device.latitude, device.longitude];
    }
    this.note('run', 'A new run begins');
  }

  note(...words: Parameters<Journal['note']>): void {
    this.journal.note(...words);
  }

  private onFacts(facts: Facts): void {
    this.facts = facts;
    this.cells = cellsOf(facts, this.name);
  }
}

/** The cells of a site, named as `gridfleet.devices.runtime.fleet.cells_of` names them. */
export function cellsOf({ south, north, west, east, rows, columns }: Facts, site: string): CellArea[] {
  if (rows * columns === 1) return [{ name: site, south, north, west, east }];
  const [height, width] = [(north - south) / rows, (east - west) / columns];
  const cells: CellArea[] = [];
  for (let row = 0; row < rows && cells.length < MOST_CELLS; row++) {
    for (let column = 0; column < columns; column++) {
      const [lower, left] = [south + row * height, west + column * width];
      cells.push({ name: `cell-${row + 1}-${column + 1}`, south: lower, north: lower + height, west: left, east: left + width });
    }
  }
  return cells;
}

export function startOf(tick: Tick): number {
  return Math.floor(tick.simulatedMs / QUARTER_MS) * QUARTER_MS;
}

export function fill(state: State | null): number {
  const stored = state?.figures['stored_wh'];
  const capacity = state?.figures['capacity_wh'];
  return stored !== undefined && capacity ? Math.max(0, Math.min(1, stored / capacity)) : NaN;
}

export function outOfService(device: Device): boolean {
  return device.kind === 'charger' && device.state?.status === 'out of service';
}

function mainFigure(state: State): number {
  return state.kind === 'charger' || state.kind === 'vehicle' ? fill(state) * 100 : state.powerW / 1000;
}

function count(sums: Map<string, Map<string, number>>, reason: string, who: string, many = 1): void {
  let devices = sums.get(reason);
  if (!devices) sums.set(reason, (devices = new Map()));
  devices.set(who, (devices.get(who) ?? 0) + many);
}
