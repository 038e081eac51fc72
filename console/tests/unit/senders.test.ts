// Who is believed: every message type by every role that may not publish it changes nothing on the page.

import { describe, expect, it } from 'vitest';
import { MESSAGE_TYPES, ROLES, type MessageType, type Role } from '../../src/model/messages';
import { clockState, consumerState, presence, producerState, TestSite, tick, vehicleState } from './publications';

const lots = [{ index: 0, energy_wh: 700, price_ueur_per_kwh: 900_000 }];
const call = { call: 1, simulated_ms: 900_000, energy_wh: 9_000, limit_ueur_per_kwh: 900_000, latitude: 51, longitude: 9 };
/** A valid message of each type, under a scope that somebody may publish it to. */
const EXAMPLES: Record<Exclude<MessageType, 'presence' | 'state'>, [string[], object]> = {
  tick: [[], tick(2, { epoch: 7, settings: { wind_scale: 3 } })],
  facts: [[], { title: 'x', south: 50, north: 52, west: 8, east: 10, rows: 2, columns: 2, reactor_price_ueur_per_kwh: 1 }],
  control: [['paused'], { value: true, revision: 99 }],
  award: [['a-producer'], { tick: 1, serial: 3, lots }],
  fleet: [[], { online: false, devices: 1, refused: {} }],
  supply: [['c'], { tick: 1, energy_wh: 5_000 }],
  bid: [['c'], { tick: 1, packages: lots }],
  receipt: [['a-producer'], { tick: 1, serial: 3, lots }],
  call: [['c'], { ...call, consumption_wh_per_km: 160 }],
  suspension: [['a-producer'], { lie: 'supply beyond limits', evidence: 'supply of tick 1', since_tick: 2, until_tick: 98 }],
  lease: [['a-vehicle'], { call: 1, energy_wh: 9_000, price_ueur_per_kwh: 500_000, until_ms: 2_000_000 }],
  decline: [['a-vehicle'], { call: 1, reason: 'port' }],
};
const STATES: [Role, object][] = [
  ['clock', clockState({ status: 'finished' })],
  ['producer', producerState(1, { power_w: 1e9, generated_wh: 1e9 })],
  ['consumer', consumerState(1, { demand_wh: 1e9 })],
  ['vehicle', vehicleState(1, { speed_km_h: 200 })],
];
const idOf = (role: Role): string => (role === 'clock' ? 'clock' : `a-${role}`);

/** A site with a device of each role, in which something has happened. */
function site(): TestSite {
  const test = new TestSite();
  for (const role of ROLES) {
    test.receive(`presence/${role === 'clock' ? 'site' : 'c'}/${role}/${idOf(role)}`, presence(role, role === 'clock' ? 'site' : 'c'));
  }
  test.receive('tick/clock', tick(1));
  test.receive('state/clock/clock', clockState());
  test.receive('state/producer/a-producer', producerState(1));
  test.receive('call/c/a-vehicle', { ...call, consumption_wh_per_km: 160 });
  return test;
}

/** Everything that the page knows, without its count of rejected messages. */
function known({ site: { run, devices, history, log, facts, cells, trace } }: TestSite): string {
  const totals = history.running;
  return JSON.stringify([run, [...devices.all], facts, cells, log.entries, totals, trace.latest(100, () => true)], (_, value: unknown) =>
    value instanceof Map || value instanceof Set ? [...value] : value,
  );
}

function tries(): [string, string, object][] {
  const found: [string, string, object][] = [];
  for (const role of ROLES) {
    for (const [type, [scope, message]] of Object.entries(EXAMPLES) as [MessageType, [string[], object]][]) {
      if ((MESSAGE_TYPES[type].senders as readonly string[]).includes(role)) continue;
      found.push([`${type} by ${role}`, [type, ...scope, idOf(role)].join('/'), message]);
    }
    for (const [as, message] of STATES) {
      if (as !== role) found.push([`state of ${as} by ${role}`, `state/${as}/${idOf(role)}`, message]);
      if (as !== role) found.push([`state of ${as} by ${role} as itself`, `state/${role}/${idOf(role)}`, message]);
    }
    if (role !== 'clock') found.push([`birth as clock by ${role}`, `presence/site/clock/${idOf(role)}`, presence('clock', 'site')]);
  }
  for (const type of ['supply', 'bid'] as const) {
    const sender = type === 'supply' ? 'a-producer' : 'a-consumer';
    found.push([`${type} to another cell`, `${type}/elsewhere/${sender}`, EXAMPLES[type][1]]);
  }
  return found;
}

describe('the page believes only whom it must', () => {
  it.each(tries())('%s', (_, topic, message) => {
    const test = site();
    const before = known(test);
    test.receive(topic, message);
    expect(known(test)).toBe(before);
    expect(test.site.rejected.sender).toBe(1);
  });

  it.each(Object.keys(EXAMPLES) as (keyof typeof EXAMPLES)[])('%s of its own sender changes something', (type) => {
    const test = site();
    const [scope, message] = EXAMPLES[type];
    const sender = ROLES.find((role) => (MESSAGE_TYPES[type].senders as readonly string[]).includes(role));
    const before = known(test);
    test.receive([type, ...scope, sender ? idOf(sender) : 'ann'].join('/'), message);
    // A lost fleet process without devices, a vehicle's repeated call, and an award show nothing by themselves.
    if (!['fleet', 'call', 'award'].includes(type)) expect(known(test)).not.toBe(before);
    expect(test.site.rejected.sender).toBe(0);
  });
});

it('ignores the last will of a cell that a device has left', () => {
  const test = site();
  test.receive('presence/d/vehicle/a-vehicle', presence('vehicle', 'd'));
  test.receive('presence/c/vehicle/a-vehicle', presence('vehicle', 'c', { online: false }));
  expect(test.online()).toContain('a-vehicle');
  expect(test.site.devices.get('a-vehicle')?.cell).toBe('d');
});
