import { beforeEach, expect, it } from 'vitest';
import { lot, presence, producerState, storageState, TestSite, tick } from './publications';

let test: TestSite;
beforeEach(() => {
  test = new TestSite();
  test.receive('tick/clock', tick(1));
  test.retained('presence/west/producer/t-1', presence('producer', 'west'));
  test.retained('presence/east/grid-supply/r-1', presence('grid-supply', 'east'));
  test.retained('presence/west/storage/b-1', presence('storage', 'west'));
  test.retained('presence/west/consumer/home', presence('consumer', 'west'));
  test.retained('presence/east/charger/charger-1', presence('charger', 'east'));
});

const receipt = (...lots: object[]): object => ({ tick: 1, serial: 0, lots });

it('adds up receipts by who sold: producers, storages, neighbouring cells, the grid supply', () => {
  test.receive('receipt/t-1/home', receipt(lot(0, 1_000, 1_000_000)));
  test.receive('receipt/t-1/charger-1', receipt(lot(0, 2_000, 500_000)));
  test.receive('receipt/r-1/home', receipt(lot(1, 500, 900_000)));
  test.receive('receipt/b-1/home', receipt(lot(2, 300, 950_000)));
  const totals = test.site.history.of(1);
  expect(totals.served!.get('home')!.map((each) => each.source)).toEqual(['producer', 'grid-supply', 'storage']);
  expect(totals.served!.get('charger-1')!.map((each) => each.source)).toEqual(['imported']);
  expect([...totals.flows]).toEqual([['west>east', 2_000]]);
  expect([...totals.gridSupplyTo]).toEqual([['home', 500]]);
  expect(totals.lowestPrice).toBe(500_000);
  expect(totals.meanPrice).toBeCloseTo((1_000 * 1_000_000 + 2_000 * 500_000 + 500 * 900_000 + 300 * 950_000) / 3_800);
});

it('counts a repeated receipt once', () => {
  for (let time = 0; time < 2; time++) test.receive('receipt/t-1/home', receipt(lot(0, 1_000, 1_000_000)));
  expect(test.site.history.of(1).soldWh).toBe(1_000);
});

it('logs refused awards at the end of the tick, and extends the entry', () => {
  test.receive('receipt/t-1/home', receipt());
  test.receive('tick/clock', tick(2));
  expect(test.events().at(-1)).toBe('Awards refused: energy no longer needed × 1 (home)');
  test.receive('receipt/t-1/charger-1', { tick: 2, serial: 4, lots: [] });
  test.receive('tick/clock', tick(3));
  const refused = test.events().filter((each) => each.startsWith('Awards refused'));
  expect(refused).toEqual(['Awards refused since 00:30: energy no longer needed × 2 (home, charger-1)']);
});

it('logs messages that devices ignored, by the growth of their counts', () => {
  test.receive('state/producer/t-1', producerState(0, { refused: { late: 3 } }));
  test.receive('state/producer/t-1', producerState(1, { refused: { late: 5, receipt: 1 } }));
  test.receive('tick/clock', tick(2));
  expect(test.events().at(-1)).toBe(
    'Messages ignored: answer came too late × 2 (t-1), receipt without a matching award × 1 (t-1)',
  );
});

it('adds up what producers report', () => {
  test.receive('state/producer/t-1', producerState(1));
  test.receive('state/producer/t-1', producerState(1)); // published again
  test.receive('tick/clock', tick(2));
  const last = test.site.history.last!;
  expect([last.reports, last.generated, last.curtailed, last.balance.get('t-1')]).toEqual([1, 10_000, 2_000, 0]);
  expect(last.gridSupplyShare).toBe(0);
});

it('adds up what storages bought, sold and store, and leaves them out of the grid supply\'s share', () => {
  test.receive('state/producer/t-1', producerState(1));
  test.receive('state/storage/b-1', storageState(1, { bought_wh: 700, sold_wh: 300, balance_neur: -5 }));
  test.receive('tick/clock', tick(2));
  const last = test.site.history.last!;
  expect([last.storageBought, last.storageSold, last.storedStorages]).toEqual([700, 300, 60_000]);
  expect([last.balance.get('b-1'), last.gridSupplyShare]).toEqual([-5, 0]);
});

it('keeps bids for the last ticks only, and totals for 960', () => {
  test.receive('bid/west/home', { tick: 1, packages: [lot(0, 1_000, 1_000_000)] });
  expect(test.site.history.of(1).bids!.size).toBe(1);
  test.receive('tick/clock', tick(4));
  expect(test.site.history.of(1).bids).toBeNull();
  test.receive('tick/clock', tick(961));
  expect(test.site.history.finished().map((each) => each.tick)).not.toContain(1);
});

it('ignores bids for ticks that are far away', () => {
  test.receive('bid/west/home', { tick: 500, packages: [] });
  expect(test.site.history.finished()).toEqual([]);
  expect(test.site.history.of(500).bids!.size).toBe(0);
});

it('counts an accepted charging offer once, at the first lease', () => {
  const call = { call: 3, simulated_ms: 0, energy_wh: 9_000, limit_ueur_per_kwh: 900_000 };
  const lease = { call: 3, energy_wh: 9_000, price_ueur_per_kwh: 400_000, until_ms: 900_000 };
  test.receive('call/east/car', { ...call, latitude: 51, longitude: 10, consumption_wh_per_km: 160 });
  test.receive('decline/car/charger-9', { call: 3, reason: 'port' });
  test.receive('lease/car/charger-1', lease);
  test.receive('lease/car/charger-1', lease); // the answer to a heartbeat
  test.receive('tick/clock', tick(2));
  const last = test.site.history.last!;
  expect([last.accepted, last.acceptedUeur]).toEqual([1, 400_000]);
  expect(last.acceptedKm).toBeCloseTo(70, 0);
  expect(test.events().at(-1)).toBe('Charging requests declined: no free port × 1 (charger-9)');
});
