import { beforeEach, expect, it } from 'vitest';
import { stateOfCharge } from '../../src/model/devices';
import { presence, TestSite, tick, turbineState, vehicleState } from './publications';

let test: TestSite;
beforeEach(() => {
  test = new TestSite();
});

const device = (id: string) => test.site.devices.get(id)!;

it('logs devices that come and go together in one entry, and retained presences not at all', () => {
  test.retained('presence/c/turbine/t-1', presence('turbine', 'c'));
  test.receive('presence/c/turbine/t-2', presence('turbine', 'c'));
  test.receive('presence/c/turbine/t-3', presence('turbine', 'c'));
  test.receive('presence/c/turbine/t-1', presence('turbine', 'c', { online: false }));
  test.receive('presence/c/turbine/t-1', presence('turbine', 'c', { online: false }));
  expect(test.online()).toEqual(['t-2', 't-3']);
  expect(test.events()).toEqual(['Online: t-2, t-3', 'Offline: t-1']);
});

it('takes all devices of a fleet process offline with its last will, until it is back', () => {
  const of = (fleet: string) => presence('turbine', 'c', { via: fleet });
  test.receive('presence/c/turbine/t-1', of('fleet-1'));
  test.receive('presence/c/turbine/t-2', of('fleet-2'));
  test.receive('presence/c/turbine/t-3', of('fleet-1'));
  test.receive('fleet/fleet-1', { online: false, devices: 2, refused: {} });
  expect(test.online()).toEqual(['t-2']);
  test.receive('presence/c/turbine/t-1', of('fleet-1')); // a presence from before the last will
  expect(test.online()).toEqual(['t-2']);
  test.receive('fleet/fleet-1', { online: true, devices: 2, refused: {} });
  test.receive('presence/c/turbine/t-1', of('fleet-1'));
  expect(test.online()).toEqual(['t-1', 't-2']);
});

it('accepts a batch for devices of that fleet process alone', () => {
  test.receive('tick/clock', tick(1));
  test.receive('presence/c/turbine/t-1', presence('turbine', 'c', { via: 'fleet-1' }));
  test.receive('presence/c/turbine/t-2', presence('turbine', 'c', { via: 'fleet-2' }));
  test.receive('presence/c/turbine/t-3', presence('turbine', 'c'));
  const lines = ['t-1', 't-2', 't-3', 't-4'].map((id) => `c/${id} {"tick":1,"energy_wh":5}`);
  test.receive('batch/supply/c/fleet-1', ['1', ...lines, 'c/t-1 {'].join('\n'));
  expect([...test.site.history.of(1).supply!.keys()]).toEqual(['t-1']);
  expect(test.site.rejected).toEqual({ malformed: 4, schema: 0 });
});

it('keeps the state of a device that is known, and no older one', () => {
  test.receive('state/t-1', turbineState(3));
  expect(test.site.devices.all.size).toBe(0);
  test.receive('presence/c/turbine/t-1', presence('turbine', 'c'));
  test.receive('state/t-1', turbineState(3));
  test.receive('state/t-1', turbineState(2, { power_w: 1 }));
  expect(device('t-1').state).toMatchObject({ tick: 3, power_w: 40_000 });
  expect(device('t-1').history).toEqual([40]);
});

it('moves a vehicle from where it was, and keeps its place over a new presence', () => {
  test.receive('presence/c/vehicle/car', presence('vehicle', 'c'));
  test.receive('state/car', vehicleState(1, { latitude: 51.5 }));
  expect(device('car').before).toEqual([51.5, 9]);
  test.receive('state/car', vehicleState(2, { latitude: 52 }));
  test.receive('presence/c/vehicle/car', presence('vehicle', 'c'));
  expect([device('car').before, device('car').latitude]).toEqual([[51.5, 9], 52]);
  expect(device('car').history).toEqual([40, 40]);
  expect(stateOfCharge(device('car').state)).toBe(0.4);
});

it('calls a device outdated that is offline or has not reported for two ticks', () => {
  test.receive('presence/c/turbine/t-1', presence('turbine', 'c'));
  test.receive('tick/clock', tick(5));
  expect(test.site.isOutdated(device('t-1'))).toBe(false);
  test.receive('state/t-1', turbineState(3));
  expect(test.site.isOutdated(device('t-1'))).toBe(false);
  test.receive('tick/clock', tick(6));
  expect(test.site.isOutdated(device('t-1'))).toBe(true);
});
