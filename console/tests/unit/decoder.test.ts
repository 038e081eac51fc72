import { describe, expect, it } from 'vitest';
import { decode, DecodeError, topicFilters, unpackBatch, type Publication } from '../../src/model/decoder';
import { clockState, presence, publication, SITE, tick, vehicleState } from './publications';

function reasonOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof DecodeError) return error.reason;
    throw error;
  }
  return 'accepted';
}

const reason = (topic: string, message: object | string, changes: Partial<Publication> = {}): string =>
  reasonOf(() => decode(SITE, publication(topic, message, changes)));

describe('decode', () => {
  it('returns type, scope, sender and message, with defaults filled in', () => {
    expect(decode(SITE, publication('presence/cell-1/vehicle/car-1', presence('vehicle', 'cell-1')))).toEqual({
      type: 'presence',
      scope: ['cell-1', 'vehicle'],
      sender: 'car-1',
      epoch: null,
      message: { ...presence('vehicle', 'cell-1'), label: '', via: null, kind: 'device', figures: [] },
    });
  });

  it.each([
    'offer/car-1/charger-1', // a message type that the page does not read
    'tick/extra/clock', // too many levels
    'presence/clock', // too few
    'tick/not an id',
    'constructor/clock',
  ])('ignores the topic %s', (topic) => {
    expect(decode(SITE, publication(topic, tick(1)))).toBeNull();
  });

  it('takes the run that a message states from its payload', () => {
    const state = decode(SITE, publication('state/vehicle/car-1', { ...vehicleState(1), epoch: 7 }));
    expect(state).toEqual({ ...decode(SITE, publication('state/vehicle/car-1', vehicleState(1))), epoch: 7 });
    expect(decode(SITE, publication('tick/clock', tick(1, { epoch: 8 })))).toMatchObject({ epoch: 8, message: { epoch: 8 } });
    expect(reason('state/vehicle/car-1', { ...vehicleState(1), epoch: -1 })).toBe('malformed');
  });

  it('ignores other sites and cleared retained messages', () => {
    expect(decode('village', publication('tick/clock', tick(1)))).toBeNull();
    expect(decode(SITE, publication('tick/clock', ''))).toBeNull();
  });

  it.each([
    ['not JSON', '{'],
    ['not an object', '[]'],
    ['a field too many', tick(1, { extra: 1 })],
    ['a field missing', { tick: 1 }],
    ['text for a number', tick(1, { ends_ms: '5' })],
    ['a fraction for a whole number', tick(1.5)],
    ['a negative tick', tick(-1)],
    ['a number beyond the largest', tick(2 ** 31)],
    ['an unknown phase', tick(1, { phase: 'process' })],
    ['a number that overflows', JSON.stringify(tick(1)).replace('"seconds_per_tick":2', '"seconds_per_tick":1e999')],
    ['an invalid id in a list', tick(1, { absent: ['a b'] })],
    ['an unknown setting', tick(1, { settings: { gravity: 1 } })],
  ])('refuses %s', (_, message) => {
    expect(reason('tick/clock', message)).toBe('malformed');
  });

  it('counts text by characters, as the devices do', () => {
    expect(reason('presence/c/producer/t', presence('producer', 'c', { label: '🌬'.repeat(64) }))).toBe('accepted');
    expect(reason('presence/c/producer/t', presence('producer', 'c', { label: '🌬'.repeat(65) }))).toBe('malformed');
  });

  it('takes the state of each role by its own fields, whatever its kind', () => {
    expect(reason('state/vehicle/car-1', vehicleState(1))).toBe('accepted');
    expect(reason('state/vehicle/car-1', vehicleState(1, { kind: 'hovercraft' }))).toBe('accepted');
    expect(reason('state/vehicle/car-1', vehicleState(1, { kind: 'Hover craft' }))).toBe('malformed');
    expect(reason('state/vehicle/car-1', vehicleState(1, { role: 'producer' }))).toBe('malformed');
    expect(reason('state/vehicle/car-1', vehicleState(1, { role: 'ufo' }))).toBe('malformed');
    expect(reason('state/vehicle/car-1', vehicleState(1, { destination: [52, 10, 3] }))).toBe('malformed');
  });

  it('believes the clock alone as the clock, and a device in its own role alone', () => {
    expect(reason('state/clock/clock', clockState())).toBe('accepted');
    expect(reason('state/clock/charger-3', clockState({ status: 'finished' }))).toBe('sender');
    expect(reason('state/charger/charger-3', clockState({ status: 'finished' }))).toBe('sender');
    expect(reason('state/producer/car-1', vehicleState(1))).toBe('sender');
    expect(reason('state/vehicle/clock', vehicleState(1))).toBe('sender');
    expect(reason('tick/charger-3', tick(1))).toBe('sender');
    expect(reason('presence/c/charger/car-1', presence('vehicle', 'c'))).toBe('sender');
  });

  it('takes at most 32 figures, under names that are columns, all finite', () => {
    const figures = (count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`figure_${index}`, index / 2]));
    expect(reason('state/vehicle/car-1', vehicleState(1, { figures: figures(32) }))).toBe('accepted');
    expect(reason('state/vehicle/car-1', vehicleState(1, { figures: figures(33) }))).toBe('malformed');
    expect(reason('state/vehicle/car-1', vehicleState(1, { figures: { 'indoor °C': 21 } }))).toBe('malformed');
    expect(reason('state/vehicle/car-1', vehicleState(1, { figures: { indoor_c: '21' } }))).toBe('malformed');
    const described = { name: 'indoor_c', unit: '°C', description: 'Temperature of the room' };
    expect(reason('presence/c/consumer/home', presence('consumer', 'c', { figures: [described] }))).toBe('accepted');
    expect(reason('presence/c/consumer/home', presence('consumer', 'c', { figures: [{ unit: '°C' }] }))).toBe('malformed');
  });

  it('refuses another schema version and accepts a message that states none', () => {
    expect(reason('tick/clock', tick(1), { schema: '1' })).toBe('schema');
    expect(reason('tick/clock', tick(1), { schema: '2,2' })).toBe('schema');
    expect(reason('tick/clock', tick(1), { schema: null })).toBe('accepted');
  });
});

describe('unpackBatch', () => {
  const batch = (payload: string, schema: string | null = '2') =>
    unpackBatch(SITE, publication('batch/supply/cell-1/fleet-1', payload, { schema }));

  it('returns the messages under the topics of their senders', () => {
    const found = batch('1\ncell-1/turbine-1 {"tick":1,"energy_wh":5}\ncell-1/turbine-2 {"tick":1,"energy_wh":6}');
    expect(found?.fleet).toBe('fleet-1');
    expect(found?.messages.map((each) => each.topic)).toEqual([
      'gridfleet/town/supply/cell-1/turbine-1',
      'gridfleet/town/supply/cell-1/turbine-2',
    ]);
    expect(found?.messages[1]?.payload).toBe('{"tick":1,"energy_wh":6}');
  });

  it('returns null for any other publication', () => {
    expect(unpackBatch(SITE, publication('tick/clock', tick(1)))).toBeNull();
  });

  it('refuses another version, a line without a topic and too many messages', () => {
    expect(reasonOf(() => batch('2\nx {}'))).toBe('malformed');
    expect(reasonOf(() => batch('1\n{}'))).toBe('malformed');
    expect(reasonOf(() => batch(`1${'\nx {}'.repeat(500)}`))).toBe('accepted');
    expect(reasonOf(() => batch(`1${'\nx {}'.repeat(501)}`))).toBe('malformed');
    expect(reasonOf(() => batch('1\nx {}', '3'))).toBe('schema');
  });
});

it('subscribes to every message type and to batches', () => {
  const filters = topicFilters(SITE);
  expect(filters).toContain('gridfleet/town/tick/+');
  expect(filters).toContain('gridfleet/town/presence/+/+/+');
  expect(filters).toContain('gridfleet/town/batch/+/+/+');
  expect(filters).toHaveLength(15);
});
