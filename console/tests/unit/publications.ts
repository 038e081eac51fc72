// Messages for the tests, complete and valid unless a test changes them.

import type { Publication } from '../../src/model/decoder';
import { Site } from '../../src/model/site';

export const SITE = 'town';

export const tick = (number: number, changes: object = {}): object => ({
  tick: number,
  phase: 'bid',
  simulated_ms: number * 900_000,
  ends_ms: number * 900_000 + 225_000,
  mode: 'scaled',
  seconds_per_tick: 2,
  ticks_left: 10,
  paused: false,
  settings: {},
  ...changes,
});

export const presence = (role: string, cell: string, changes: object = {}): object => ({
  online: true,
  role,
  cell,
  latitude: 51,
  longitude: 9,
  ...changes,
});

const report = { latitude: 51, longitude: 9, measured: false, power_w: 0, balance_neur: 0, refused: {}, figures: {}, avoids: [] };

export const producerState = (number: number, changes: object = {}): object => ({
  ...report,
  role: 'producer',
  kind: 'turbine',
  tick: number,
  status: 'running',
  power_w: 40_000,
  generated_wh: 10_000,
  sold_wh: 8_000,
  curtailed_wh: 2_000,
  unsettled_wh: 0,
  earned_neur: 8_000_000_000,
  ...changes,
});

export const storageState = (number: number, changes: object = {}): object => ({
  ...report,
  role: 'storage',
  kind: 'battery',
  tick: number,
  status: 'idle',
  demand_wh: 0,
  bought_wh: 0,
  paid_neur: 0,
  announced_wh: 0,
  sold_wh: 0,
  unsettled_wh: 0,
  earned_neur: 0,
  stored_wh: 60_000,
  capacity_wh: 100_000,
  charge_loss_wh: 0,
  discharge_loss_wh: 0,
  ...changes,
});

export const consumerState = (number: number, changes: object = {}): object => ({
  ...report,
  role: 'consumer',
  kind: 'consumer',
  tick: number,
  status: 'supplied',
  demand_wh: 5_000,
  bought_wh: 5_000,
  paid_neur: 0,
  ...changes,
});

export const vehicleState = (number: number, changes: object = {}): object => ({
  ...report,
  role: 'vehicle',
  kind: 'vehicle',
  tick: number,
  status: 'driving',
  model: 'e-car',
  consumption_wh_per_km: 160,
  stored_wh: 20_000,
  capacity_wh: 50_000,
  drawn_wh: 0,
  charge_loss_wh: 0,
  driven_wh: 1_000,
  paid_neur: 0,
  speed_km_h: 50,
  deadline_ms: 9_000_000,
  next_stop: null,
  destination: [52, 10],
  charger: null,
  ...changes,
});

export const clockState = (changes: object = {}): object => ({
  ...report,
  role: 'clock',
  kind: 'clock',
  tick: 1,
  status: 'running',
  mode: 'scaled',
  paused: false,
  seconds_per_tick: 2,
  ticks: 20,
  settings: {},
  revision: 0,
  ...changes,
});

export const lot = (index: number, wh: number, ueur: number): object => ({
  index,
  energy_wh: wh,
  price_ueur_per_kwh: ueur,
});

/** A publication under `gridfleet/town/`; text is sent as it is. */
export function publication(topic: string, message: object | string, changes: Partial<Publication> = {}): Publication {
  const payload = typeof message === 'string' ? message : JSON.stringify(message);
  return { topic: `gridfleet/${SITE}/${topic}`, payload, retained: false, schema: '2', ...changes };
}

/** A site that receives the publications of a test, one millisecond apart unless the test sets the time. */
export class TestSite {
  readonly site = new Site(SITE);
  nowMs = 1_000;

  receive(topic: string, message: object | string, changes: Partial<Publication> = {}): void {
    this.nowMs += 1;
    this.site.receive(publication(topic, message, changes), this.nowMs);
  }

  retained(topic: string, message: object): void {
    this.receive(topic, message, { retained: true });
  }

  /** The texts of the event log, oldest first, with all waiting entries. */
  events(): string[] {
    this.site.log.flush(this.nowMs + 10_000);
    return this.site.log.entries.map((each) => each.text).reverse();
  }

  online(): string[] {
    return [...this.site.devices.all.values()].filter((each) => each.online).map((each) => each.id);
  }
}
