// The devices of a site: presence, last wills, positions and reported states.

import { KINDS, type ClockState, type Kind, type Presence, type State } from './messages';

const MAX_DEVICES = 50_000;
const MAX_HISTORY = 192;

export type DeviceKind = Exclude<Kind, 'clock'>;
export const DEVICE_KINDS = KINDS.filter((kind): kind is DeviceKind => kind !== 'clock');
export type DeviceState = Exclude<State, ClockState>;
export type DevicePresence = Presence & { kind: DeviceKind };

export interface Device {
  id: string;
  kind: DeviceKind;
  cell: string;
  label: string;
  online: boolean;
  /** The fleet process that runs it; null with a connection of its own. */
  via: string | null;
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
  /** The highest power of a turbine so far, in W. */
  maxTurbinePowerW = 1;
  private readonly lostFleets = new Set<string>();

  get(id: string): Device | undefined {
    return this.all.get(id);
  }

  /** Take a birth or a last will; return whether the device went online or offline. */
  onPresence(id: string, presence: DevicePresence): boolean {
    const { kind, cell, label, latitude, longitude, via } = presence;
    const online = presence.online && !(via && this.lostFleets.has(via));
    const known = this.all.get(id);
    if (!known) {
      if (this.all.size >= MAX_DEVICES) return false;
      const before = [latitude, longitude] as const;
      const unmoved = { state: null, before, movedAt: 0, history: [] };
      this.all.set(id, { id, kind, cell, label, online, via, latitude, longitude, ...unmoved });
      return true;
    }
    const changed = known.online !== online;
    Object.assign(known, { kind, cell, label, online, via });
    if (kind !== 'vehicle' || !known.state) Object.assign(known, { latitude, longitude });
    return changed;
  }

  /** Take a fleet process's presence; return the devices that went offline with it. */
  onFleetPresence(fleet: string, online: boolean): Device[] {
    if (online) {
      this.lostFleets.delete(fleet);
      return [];
    }
    this.lostFleets.add(fleet);
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
    if (state.kind === 'turbine') this.maxTurbinePowerW = Math.max(this.maxTurbinePowerW, state.power_w);
    device.history.push(mainFigure(state));
    if (device.history.length > MAX_HISTORY) device.history.shift();
    return { device, before };
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

/** State of charge, from 0 to 1; NaN without a battery. */
export function stateOfCharge(state: DeviceState | null): number {
  if (state?.kind !== 'charger' && state?.kind !== 'vehicle') return NaN;
  return state.capacity_wh ? Math.max(0, Math.min(1, state.stored_wh / state.capacity_wh)) : NaN;
}

export function outOfService(device: Device): boolean {
  return device.kind === 'charger' && device.state?.status === 'out of service';
}

function mainFigure(state: DeviceState): number {
  return state.kind === 'charger' || state.kind === 'vehicle' ? stateOfCharge(state) * 100 : state.power_w / 1000;
}
