// The devices of a site: presence, last wills, positions and reported states.

import { OUT_OF_SERVICE, ROLES, type ClockState, type Figure, type Presence, type Role, type State } from './messages';

const MAX_DEVICES = 50_000;
const MAX_HISTORY = 192;

export type DeviceRole = Exclude<Role, 'clock'>;
export const DEVICE_ROLES = ROLES.filter((role): role is DeviceRole => role !== 'clock');
export type DeviceState = Exclude<State, ClockState>;
export type DevicePresence = Presence & { role: DeviceRole };

export interface Device {
  id: string;
  role: DeviceRole;
  /** What sort of device it is: a name for people, on which nothing depends. */
  kind: string;
  cell: string;
  label: string;
  online: boolean;
  /** The fleet process that runs it; null with a connection of its own. */
  via: string | null;
  /** What the figures of its own mean. */
  figures: readonly Figure[];
  state: DeviceState | null;
  latitude: number;
  longitude: number;
  /** Where it was a tick ago, and the real time (ms) at which it left there. */
  before: readonly [number, number];
  movedAt: number;
  /** Its main figure at the last ticks: power in kW, or state of charge in % where it has a battery. */
  history: number[];
}

export class Devices {
  readonly all = new Map<string, Device>();
  /** The highest power of a producer so far, in W. */
  maxProducerPowerW = 1;
  private readonly lostFleets = new Set<string>();
  /** What `count` returns, until a birth changes it. */
  private counts: ReadonlyMap<DeviceRole, ReadonlyMap<string, number>> | null = null;

  get(id: string): Device | undefined {
    return this.all.get(id);
  }

  has(role: DeviceRole): boolean {
    return this.count().has(role);
  }

  /** How many devices of each role there are, in all and by kind, for the roles present. */
  count(): ReadonlyMap<DeviceRole, ReadonlyMap<string, number>> {
    if (this.counts) return this.counts;
    const counts = new Map<DeviceRole, Map<string, number>>();
    for (const { role, kind } of this.all.values()) {
      let kinds = counts.get(role);
      if (!kinds) counts.set(role, (kinds = new Map()));
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    return (this.counts = counts);
  }

  /** Take a birth or a last will; return whether the device went online or offline. */
  onPresence(id: string, presence: DevicePresence): boolean {
    const { role, kind, cell, label, latitude, longitude, via, figures } = presence;
    const online = presence.online && !(via && this.lostFleets.has(via));
    const known = this.all.get(id);
    if (known?.role !== role || known.kind !== kind) this.counts = null;
    if (!known) {
      if (this.all.size >= MAX_DEVICES) return false;
      const before = [latitude, longitude] as const;
      const unmoved = { state: null, before, movedAt: 0, history: [] };
      this.all.set(id, { id, role, kind, cell, label, online, via, figures, latitude, longitude, ...unmoved });
      return true;
    }
    // The last will of a cell or role that it has left, which the broker still retains.
    if (known.online && !presence.online && (known.cell !== cell || known.role !== role)) return false;
    const changed = known.online !== online;
    Object.assign(known, { role, kind, cell, label, online, via, figures });
    if (role !== 'vehicle' || !known.state) Object.assign(known, { latitude, longitude });
    return changed;
  }

  /** Take a fleet process's presence; return the devices that went offline with it. */
  onFleetPresence(fleet: string, online: boolean): Device[] {
    if (online) {
      this.lostFleets.delete(fleet);
      return [];
    }
    if (this.lostFleets.size < MAX_DEVICES) this.lostFleets.add(fleet);
    const lost = [...this.all.values()].filter((device) => device.via === fleet && device.online);
    for (const device of lost) device.online = false;
    return lost;
  }

  /** Take a report; if it is the first of its tick, return the device and its report before. */
  onState(id: string, state: DeviceState, nowMs: number): { device: Device; before: DeviceState | null } | null {
    const device = this.all.get(id);
    const before = device?.state ?? null;
    if (!device || (before && state.tick < before.tick)) return null; // unknown, or outdated
    const repeated = before !== null && state.tick === before.tick;
    device.state = state;
    if (state.latitude !== device.latitude || state.longitude !== device.longitude) {
      device.before = before ? [device.latitude, device.longitude] : [state.latitude, state.longitude];
      device.movedAt = nowMs;
      device.latitude = state.latitude;
      device.longitude = state.longitude;
    } else if (!repeated) {
      device.before = [state.latitude, state.longitude];
    }
    if (repeated) return null;
    if (state.role === 'producer') this.maxProducerPowerW = Math.max(this.maxProducerPowerW, state.power_w);
    device.history.push(mainFigure(state));
    if (device.history.length > MAX_HISTORY) device.history.shift();
    return { device, before };
  }

  /** Put back a device's last report and its main figures, oldest first, as the server has kept them. */
  restore(id: string, state: DeviceState, figures: readonly (number | null)[]): void {
    const device = this.all.get(id);
    if (!device) return;
    const { latitude, longitude } = state;
    const history = figures.map((each) => each ?? NaN);
    Object.assign(device, { state, latitude, longitude, before: [latitude, longitude], history });
  }

  /** Forget everything. */
  clear(): void {
    this.all.clear();
    this.counts = null;
    this.lostFleets.clear();
    this.maxProducerPowerW = 1;
  }

  /** A new run begins: keep the devices, drop their reports. */
  dropStates(): void {
    for (const device of this.all.values()) {
      device.state = null;
      device.history = [];
      device.movedAt = 0;
      device.before = [device.latitude, device.longitude];
    }
  }
}

/** Whether devices of a role store energy. */
export function hasBattery(role: DeviceRole): boolean {
  return role === 'storage' || role === 'charger' || role === 'vehicle';
}

/** State of charge, from 0 to 1; NaN without a battery. */
export function stateOfCharge(state: DeviceState | null): number {
  if (!state || !('stored_wh' in state)) return NaN;
  return state.capacity_wh ? Math.max(0, Math.min(1, state.stored_wh / state.capacity_wh)) : NaN;
}

/** Whether a consumer did not get all the energy that it wanted. */
export function isShort(state: DeviceState | null): boolean {
  return state?.role === 'consumer' && state.bought_wh < state.demand_wh;
}

export function outOfService(device: Device): boolean {
  return device.role === 'charger' && device.state?.status === OUT_OF_SERVICE;
}

/** What the card draws, to a hundredth: dashboards/console/history/condenser.py rounds in the same way. */
function mainFigure(state: DeviceState): number {
  return Math.floor((hasBattery(state.role) ? stateOfCharge(state) * 100 : state.power_w / 1000) * 100 + 0.5) / 100;
}
