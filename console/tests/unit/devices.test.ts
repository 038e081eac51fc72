import { beforeEach, expect, it } from 'vitest';
import { isShort, stateOfCharge } from '../../src/model/devices';
import { consumerState, presence, producerState, storageState, TestSite, tick, vehicleState } from './publications';

let test: TestSite;
beforeEach(() => {
  test = new TestSite();
});

const device = (id: string) => test.site.devices.get(id)!;

it('logs devices that come and go together in one entry, and retained presences not at all', () => {
  test.retained('presence/c/producer/t-1', presence('producer', 'c'));
  test.receive('presence/c/producer/t-2', presence('producer', 'c'));
  test.receive('presence/c/producer/t-3', presence('producer', 'c'));
  test.receive('presence/c/producer/t-1', presence('producer', 'c', { online: false }));
  test.receive('presence/c/producer/t-1', presence('producer', 'c', { online: false }));
  expect(test.online()).toEqual(['t-2', 't-3']);
  expect(test.events()).toEqual(['Online: t-2, t-3', 'Offline: t-1']);
});

it('takes all devices of a fleet process offline with its last will, until it is back', () => {
  const of = (fleet: string) => presence('producer', 'c', { via: fleet });
  test.receive('presence/c/producer/t-1', of('fleet-1'));
  test.receive('presence/c/producer/t-2', of('fleet-2'));
  test.receive('presence/c/producer/t-3', of('fleet-1'));
  test.receive('fleet/fleet-1', { online: false, devices: 2, refused: {} });
  expect(test.online()).toEqual(['t-2']);
  test.receive('presence/c/producer/t-1', of('fleet-1')); // a presence from before the last will
  expect(test.online()).toEqual(['t-2']);
  test.receive('fleet/fleet-1', { online: true, devices: 2, refused: {} });
  test.receive('presence/c/producer/t-1', of('fleet-1'));
  expect(test.online()).toEqual(['t-1', 't-2']);
});

it('accepts a batch for devices of that fleet process alone', () => {
  test.receive('tick/clock', tick(1));
  test.receive('presence/c/producer/t-1', presence('producer', 'c', { via: 'fleet-1' }));
  test.receive('presence/c/producer/t-2', presence('producer', 'c', { via: 'fleet-2' }));
  test.receive('presence/c/producer/t-3', presence('producer', 'c'));
  const lines = ['t-1', 't-2', 't-3', 't-4'].map((id) => `c/${id} {"tick":1,"energy_wh":5}`);
  test.receive('batch/supply/c/fleet-1', ['1', ...lines, 'c/t-1 {'].join('\n'));
  expect([...test.site.history.of(1).supply!.keys()]).toEqual(['t-1']);
  expect(test.site.rejected).toEqual({ malformed: 1, schema: 0, sender: 3 });
});

it('keeps the state of a device that is known, and no older one', () => {
  test.receive('state/producer/t-1', producerState(3));
  expect(test.site.devices.all.size).toBe(0);
  test.receive('presence/c/producer/t-1', presence('producer', 'c'));
  test.receive('state/producer/t-1', producerState(3));
  test.receive('state/producer/t-1', producerState(2, { power_w: 1 }));
  expect(device('t-1').state).toMatchObject({ tick: 3, power_w: 40_000 });
  expect(device('t-1').history).toEqual([40]);
});

it('moves a vehicle from where it was, and keeps its place over a new presence', () => {
  test.receive('presence/c/vehicle/car', presence('vehicle', 'c'));
  test.receive('state/vehicle/car', vehicleState(1, { latitude: 51.5 }));
  expect(device('car').before).toEqual([51.5, 9]);
  test.receive('state/vehicle/car', vehicleState(2, { latitude: 52 }));
  test.receive('presence/c/vehicle/car', presence('vehicle', 'c'));
  expect([device('car').before, device('car').latitude]).toEqual([[51.5, 9], 52]);
  expect(device('car').history).toEqual([40, 40]);
  expect(stateOfCharge(device('car').state)).toBe(0.4);
});

it('calls a device outdated that is offline or has not reported for two ticks', () => {
  test.receive('presence/c/producer/t-1', presence('producer', 'c'));
  test.receive('tick/clock', tick(5));
  expect(test.site.isOutdated(device('t-1'))).toBe(false);
  test.receive('state/producer/t-1', producerState(3));
  expect(test.site.isOutdated(device('t-1'))).toBe(false);
  test.receive('tick/clock', tick(6));
  expect(test.site.isOutdated(device('t-1'))).toBe(true);
});

it('counts devices by role, and in each role by kind', () => {
  test.receive('presence/c/producer/t-1', presence('producer', 'c', { kind: 'turbine' }));
  test.receive('presence/c/producer/s-1', presence('producer', 'c', { kind: 'solar' }));
  test.receive('presence/c/producer/s-2', presence('producer', 'c', { kind: 'solar' }));
  test.receive('presence/c/storage/b-1', presence('storage', 'c', { kind: 'battery' }));
  expect(test.site.devices.count()).toEqual(
    new Map([
      ['producer', new Map([['turbine', 1], ['solar', 2]])],
      ['storage', new Map([['battery', 1]])],
    ]),
  );
  expect([test.site.devices.has('storage'), test.site.devices.has('charger')]).toEqual([true, false]);
});

it('keeps what the figures of a kind mean, as the newest birth message says', () => {
  const figures = [{ name: 'indoor_c', unit: '°C', description: 'Temperature of the room' }];
  test.receive('presence/c/consumer/home', presence('consumer', 'c', { kind: 'heat-pump', figures }));
  expect(device('home')).toMatchObject({ role: 'consumer', kind: 'heat-pump', figures });
  test.receive('presence/c/consumer/home', presence('consumer', 'c', { kind: 'heat-pump' }));
  expect(device('home').figures).toEqual([]);
});

it('has the level of a battery as the history of a storage', () => {
  test.receive('presence/c/storage/b-1', presence('storage', 'c'));
  test.receive('state/storage/b-1', storageState(1));
  test.receive('state/storage/b-1', storageState(2, { stored_wh: 10_000 }));
  expect(device('b-1').history).toEqual([60, 10]);
});

it('calls a consumer short by its account, whatever its status', () => {
  test.receive('presence/c/consumer/home', presence('consumer', 'c'));
  test.receive('state/consumer/home', consumerState(1, { status: 'defrosting' }));
  expect(isShort(device('home').state)).toBe(false);
  test.receive('state/consumer/home', consumerState(2, { status: 'defrosting', bought_wh: 4_999 }));
  expect(isShort(device('home').state)).toBe(true);
});
