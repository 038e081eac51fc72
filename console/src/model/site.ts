// What the page knows of a site: built from messages alone, in order of arrival, without a clock or a screen.

import { checkDevice, decode, DecodeError, unpackBatch, type Decoded, type Publication, type RejectReason } from './decoder';
import { Devices, type Device, type DevicePresence, type DeviceState } from './devices';
import { describeControl, EventLog } from './event-log';
import { cellsOf, distanceKm, type CellArea } from './geography';
import { CLOCK_ID, type Call, type ClockState, type Facts, type Lease, type Presence, type Suspension, type Tick } from './messages';
import { publicationOf, refusalsOf, type History, type Line, type RunState, type Viewing } from './history';
import { MessageTrace } from './message-trace';
import { Partners } from './partners';
import { Run } from './run';
import { addRefusals, TickHistory, type Refusals } from './tick-totals';

const MAX_CALLS = 50_000;
const MAX_SUSPENSIONS = 50_000;

export class Site {
  readonly run = new Run();
  readonly devices = new Devices();
  readonly history = new TickHistory();
  readonly log = new EventLog(() => this.run.tick?.simulated_ms ?? NaN);
  facts: Facts | null = null;
  cells: CellArea[] = [];
  /** How many messages were ignored, by reason. */
  readonly rejected: Record<RejectReason, number> = { malformed: 0, schema: 0, sender: 0 };
  readonly trace = new MessageTrace();
  readonly partners = new Partners();
  /** The latest judgement of each device, by its id; of two of one tick the one that ends first. */
  private readonly suspensions = new Map<string, Suspension>();
  private readonly calls = new Map<string, Call>();
  private refusedMessages: Refusals = new Map();
  /** What of the run is shown. */
  viewing: Viewing = { live: true, replay: false, tick: 0 };
  /** What the page's server says about the run; null where the page reads from a broker alone. */
  runState: RunState | null = null;
  private readonly resets: (() => void)[] = [];
  /** Whether the messages come from the page's server, which knows the run from its beginning. */
  private fromServer = false;

  constructor(readonly name: string) {}

  get tick(): Tick | null {
    return this.run.tick;
  }

  /** Call a function after all of the page's knowledge has been replaced. */
  onReset(callback: () => void): void {
    this.resets.push(callback);
  }

  /** Begin again from the history of the run; `aheadMs` is the page's real time minus the server's. */
  restore(history: History, aheadMs: number): void {
    this.clear();
    this.fromServer = true;
    const take = (line: Line): void => this.receive(publicationOf(line), line[0] + aheadMs);
    history.base.forEach(take);
    for (const { tick, totals, refused, maxPower, events } of history.frames) {
      events.forEach(take);
      if (totals) this.history.restore(tick, totals);
      this.refusedMessages = refusalsOf(refused);
      this.devices.maxProducerPowerW = maxPower;
    }
    for (const line of [...history.states, ...history.calls]) this.restoreOne(line, history.figures);
    this.partners.restore(history.partners);
    history.recent.forEach(take);
    this.history.keepWhole(history.whole, history.frames.at(-1)?.tick ?? -1);
    this.viewing = { live: history.live, replay: this.runState?.mode === 'replay', tick: history.at };
    if (!history.live) this.showEndOf();
    for (const callback of this.resets) callback();
  }

  /** The tick that is shown is over: somebody looks at it afterwards. */
  showEndOf(): void {
    this.run.frozen = this.history.ended = true;
  }

  private restoreOne(line: Line, figures: History['figures']): void {
    this.countErrors(() => {
      const decoded = decode(this.name, publicationOf(line));
      if (decoded?.type === 'call') this.calls.set(decoded.sender, decoded.message);
      else if (decoded?.type === 'state' && decoded.message.role !== 'clock') {
        this.devices.restore(decoded.sender, decoded.message, figures[decoded.sender] ?? []);
      }
    });
  }

  private clear(): void {
    this.run.clear();
    this.devices.clear();
    this.history.clear();
    this.log.clear();
    this.facts = null;
    this.cells = [];
    this.suspensions.clear();
    this.calls.clear();
    this.refusedMessages = new Map();
    this.trace.clear();
    this.partners.clear();
  }

  /** Receive a message, or a batch of them; `nowMs` is real time from an arbitrary beginning. */
  receive(publication: Publication, nowMs: number): void {
    this.log.flush(nowMs);
    this.countErrors(() => {
      const batch = unpackBatch(this.name, publication);
      if (!batch) return this.receiveOne(publication, nowMs);
      for (const each of batch.messages) {
        const sender = each.topic.slice(each.topic.lastIndexOf('/') + 1);
        // A fleet process publishes for devices whose presence names it, and for no others.
        if (this.devices.get(sender)?.via !== batch.fleet) this.rejected.sender += 1;
        else this.countErrors(() => this.receiveOne(each, nowMs));
      }
    });
  }

  /** Whether a device has reported nothing for two ticks. */
  isOutdated(device: Device): boolean {
    const now = this.tick?.tick ?? 0;
    if (this.run.finished || this.runState?.state === 'stopped') return false; // the run is over: nothing more is expected
    return !device.online || (device.state !== null && device.state.tick < now - 2);
  }

  /** The suspension of a device in the present tick; null while it takes part. */
  suspensionOf(id: string): Suspension | null {
    const found = this.suspensions.get(id);
    return found && this.isNow(found) ? found : null;
  }

  /** Whether a suspension is of this run, and not over; one that begins with the next tick counts. */
  private isNow(suspension: Suspension): boolean {
    const { tick } = this;
    if (tick === null || suspension.epoch !== tick.epoch) return false;
    return tick.tick < suspension.until_tick && suspension.since_tick < suspension.until_tick;
  }

  private countErrors(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.rejected[error.reason] += 1;
    }
  }

  private receiveOne(publication: Publication, nowMs: number): void {
    const decoded = decode(this.name, publication);
    if (!decoded) return;
    if (decoded.epoch !== null && this.tick !== null && decoded.epoch < this.tick.epoch) return; // of a run that is over
    checkDevice(decoded, this.devices.get(decoded.sender));
    this.apply(decoded, publication.retained, nowMs);
  }

  private apply(decoded: Decoded, retained: boolean, nowMs: number): void {
    const { type, scope, sender, message } = decoded;
    this.trace.add(decoded, this.tick?.tick ?? 0);
    const [to = ''] = scope;
    switch (type) {
      case 'tick':
        if (sender === CLOCK_ID) this.onTick(message, retained, nowMs);
        return;
      case 'state':
        if (message.role !== 'clock') this.onState(sender, message, nowMs);
        else if (sender === CLOCK_ID) this.onClock(message, nowMs);
        return;
      case 'facts':
        if (sender === CLOCK_ID) this.onFacts(message);
        return;
      case 'presence':
        return this.onPresence(sender, message, retained, nowMs);
      case 'fleet':
        if (this.run.finished && !message.online) return;
        for (const device of this.devices.onFleetPresence(sender, message.online)) {
          if (!retained) this.log.presenceChanged(device.id, false, nowMs);
        }
        return;
      case 'control':
        this.run.revision = Math.max(this.run.revision, message.revision);
        if (!retained) this.log.add('setting', `${sender} requests: ${describeControl(to, message.value)}`);
        return;
      case 'supply':
        this.history.of(message.tick).supply?.set(sender, message.energy_wh);
        return;
      case 'bid':
        this.history.of(message.tick).bids?.set(sender, message.packages);
        return;
      case 'award':
        return; // counted by its receipt
      case 'receipt':
        this.partners.add(to, sender, message.tick, message.lots);
        this.history.of(message.tick).addReceipt(to, sender, message, this.devices.get(to), this.devices.get(sender));
        return;
      case 'call':
        if (this.calls.size < MAX_CALLS || this.calls.has(sender)) this.calls.set(sender, message);
        return;
      case 'lease':
        return this.onLease(to, sender, message);
      case 'suspension':
        return this.onSuspension(to, sender, message);
      case 'decline':
        return addRefusals(this.history.of(this.tick?.tick ?? 0).declined, message.reason, sender);
    }
  }

  private onTick(tick: Tick, retained: boolean, nowMs: number): void {
    const before = this.run.tick;
    const progress = this.run.onTick(tick, retained, nowMs);
    if (progress === 'outdated') return;
    if (progress === 'run') this.restart();
    else if (before) this.log.compareTicks(before, tick);
    else if (this.fromServer && !tick.tick) this.log.add('run', 'The run begins');
    else if (!retained || tick.tick > 0) this.log.add('run', `Connected during tick ${tick.tick + 1}`);
    if (progress === 'phase') return this.history.onPhase(tick);
    this.history.begin(tick, !retained && (before !== null || tick.phase === 'bid'));
    const last = this.history.last;
    if (last) this.log.addRefusals(last.declined, last.refusedAwards, this.refusedMessages);
    this.refusedMessages.clear();
  }

  private onClock(clock: ClockState, nowMs: number): void {
    const before = this.run.clock;
    this.run.onClock(clock, nowMs);
    this.history.ended = this.run.finished;
    if (!before) return;
    if (clock.status === 'finished' && before.status !== 'finished') this.log.add('run', 'The run has ended');
    if ((clock.refused['control'] ?? 0) > (before.refused['control'] ?? 0)) {
      this.log.add('refused', 'The clock rejected a control: unknown setting or value');
    }
  }

  private onFacts(facts: Facts): void {
    this.facts = facts;
    this.cells = cellsOf(facts, this.name);
  }

  private onPresence(id: string, presence: Presence, retained: boolean, nowMs: number): void {
    if (this.run.finished && !presence.online) return; // the end of the run is what is shown
    if (isDevice(presence)) {
      if (this.devices.onPresence(id, presence) && !retained) {
        this.log.presenceChanged(id, this.devices.get(id)?.online ?? false, nowMs);
      }
    } else if (id === CLOCK_ID) {
      if (!presence.online && !retained && !this.run.finished) this.log.add('offline', 'The clock is offline');
      this.run.clockOnline = presence.online;
    }
  }

  private onState(id: string, state: DeviceState, nowMs: number): void {
    const report = this.devices.onState(id, state, nowMs);
    if (!report) return;
    this.history.of(state.tick).addState(id, state);
    if (!report.before) return;
    for (const [reason, count] of Object.entries(state.refused)) {
      const more = count - (report.before.refused[reason] ?? 0);
      if (more > 0) addRefusals(this.refusedMessages, reason, id, more);
    }
  }

  /** A charger confirms the offer that a vehicle accepted; later leases answer heartbeats. */
  private onLease(vehicle: string, charger: string, lease: Lease): void {
    const call = this.calls.get(vehicle);
    const at = this.devices.get(charger);
    if (!call || call.call !== lease.call || !at || !this.tick) return;
    this.calls.delete(vehicle);
    const totals = this.history.of(this.tick.tick);
    totals.accepted += 1;
    totals.acceptedUeur += lease.price_ueur_per_kwh;
    totals.acceptedNeur += lease.energy_wh * lease.price_ueur_per_kwh;
    totals.acceptedKm += distanceKm(call.latitude, call.longitude, at.latitude, at.longitude);
  }

  private onSuspension(device: string, judge: string, suspension: Suspension): void {
    const before = this.suspensions.get(device);
    if (before && before.epoch === suspension.epoch && !isLater(suspension, before)) return;
    if (!before && this.suspensions.size >= MAX_SUSPENSIONS) return;
    this.suspensions.set(device, suspension);
    if (this.isNow(suspension)) {
      this.log.add('suspended', `${device} is suspended until tick ${suspension.until_tick + 1} by ${judge}: ${suspension.lie}`);
    } else if (before && this.isNow(before)) this.log.add('suspended', `${device} takes part again: ${suspension.lie} (${judge})`);
  }

  private restart(): void {
    this.history.clear();
    this.trace.clear();
    this.partners.clear();
    this.calls.clear();
    this.refusedMessages.clear();
    this.devices.dropStates();
    this.log.add('run', 'A new run begins');
  }
}

/** Whether a judgement replaces another of the same run: of two of one tick the one that ends first counts. */
function isLater(one: Suspension, other: Suspension): boolean {
  if (one.since_tick !== other.since_tick) return one.since_tick > other.since_tick;
  return one.until_tick < other.until_tick;
}

function isDevice(presence: Presence): presence is DevicePresence {
  return presence.role !== 'clock';
}
