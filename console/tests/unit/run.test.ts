import { beforeEach, expect, it } from 'vitest';
import { clockState, presence, producerState, TestSite, tick } from './publications';

let test: TestSite;
beforeEach(() => {
  test = new TestSite();
});

it('is live only once a phase has begun since it connected', () => {
  test.retained('tick/clock', tick(7));
  expect(test.site.run.liveTickSeen).toBe(false);
  test.receive('tick/clock', tick(7, { phase: 'trade' }));
  expect(test.site.run.liveTickSeen).toBe(true);
  expect(test.events()).toEqual(['Connected during tick 8']);
});

it('ignores ticks of other senders, earlier ticks and earlier runs', () => {
  test.receive('tick/clock', tick(4, { epoch: 2 }));
  test.receive('tick/impostor', tick(9, { epoch: 2 }));
  test.receive('tick/clock', tick(3, { epoch: 2 }));
  test.receive('tick/clock', tick(8, { epoch: 1 }));
  expect(test.site.tick).toMatchObject({ tick: 4, epoch: 2 });
});

it('drops all reports when a new run begins', () => {
  test.receive('presence/c/producer/t-1', presence('producer', 'c'));
  test.receive('tick/clock', tick(4));
  test.receive('state/producer/t-1', producerState(3));
  test.receive('tick/clock', tick(0, { epoch: 1 }));
  expect(test.site.tick?.tick).toBe(0);
  expect(test.site.devices.get('t-1')).toMatchObject({ state: null, history: [] });
  expect(test.site.history.finished()).toEqual([]);
  expect(test.events()).toContain('A new run begins');
});

it('is stale after two ticks of silence, or at once when the clock is offline', () => {
  test.receive('tick/clock', tick(1));
  expect(test.site.run.stale(test.nowMs + 3_900)).toBe(false);
  expect(test.site.run.stale(test.nowMs + 4_100)).toBe(true);
  test.receive('presence/site/clock/clock', presence('clock', 'site', { online: false }));
  expect(test.site.run.stale(test.nowMs)).toBe(true);
  expect(test.events()).toContain('The clock is offline');
});

it('is not stale while paused or after the end', () => {
  test.receive('tick/clock', tick(1, { paused: true }));
  expect(test.site.run.stale(test.nowMs + 60_000)).toBe(false);
  test.receive('tick/clock', tick(2));
  test.receive('state/clock/clock', clockState());
  test.receive('state/clock/clock', clockState({ status: 'finished' }));
  expect(test.site.run.stale(test.nowMs + 60_000)).toBe(false);
  expect(test.events()).toContain('The run has ended');
});

it('measures the pace in lock-step', () => {
  const lockstep = { mode: 'lockstep', seconds_per_tick: 0 };
  for (const number of [1, 2, 3]) {
    test.nowMs = number * 500;
    test.receive('tick/clock', tick(number, lockstep));
  }
  expect(test.site.run.paceMs).toBe(500);
});

it('logs what an operator changes, and who requested it', () => {
  test.receive('tick/clock', tick(1));
  test.receive('control/wind_scale/operator', { value: 2, revision: 7 });
  test.receive('tick/clock', tick(2, { settings: { wind_scale: 2, chargers_out: 'all' }, paused: true }));
  test.receive('tick/clock', tick(3, { absent: ['t-1'], settings: { wind_scale: 2 } }));
  expect(test.site.run.revision).toBe(7);
  expect(test.events().slice(1)).toEqual([
    'operator requests: wind speed = 2',
    'Paused',
    'Changed: wind speed 1 → 2',
    'Chargers out of service: all',
    'Resumed',
    'All chargers in service',
    'No answer before the deadline: t-1',
  ]);
});

it('logs a control that the clock rejected', () => {
  test.receive('state/clock/clock', clockState());
  test.receive('state/clock/clock', clockState({ refused: { control: 1 }, revision: 3 }));
  expect(test.events()).toEqual(['The clock rejected a control: unknown setting or value']);
  expect(test.site.run.revision).toBe(3);
});

it('counts messages of another schema version and uses none of them', () => {
  test.receive('tick/clock', tick(1), { schema: '1' });
  test.receive('tick/clock', '{');
  expect(test.site.tick).toBeNull();
  expect(test.site.rejected).toEqual({ malformed: 1, schema: 1, sender: 0 });
});

it('divides the area into cells as the clock states it', () => {
  const facts = { title: 'Town', south: 50, north: 52, west: 8, east: 12, rows: 1, columns: 2 };
  test.receive('facts/clock', { ...facts, reactor_price_ueur_per_kwh: 900_000 });
  expect(test.site.cells.map(({ name, west, east }) => [name, west, east])).toEqual([
    ['cell-1-1', 8, 10],
    ['cell-1-2', 10, 12],
  ]);
});

it('is not stale at the pace that an operator has chosen, before the next tick states it', () => {
  test.receive('tick/clock', tick(1)); // two seconds a tick
  test.receive('state/clock/clock', clockState({ mode: 'realtime', seconds_per_tick: 900, revision: 4 }));
  expect(test.site.run.stale(test.nowMs + 60_000)).toBe(false);
  expect(test.site.run.stale(test.nowMs + 1_801_000)).toBe(true);
  test.receive('tick/clock', tick(1, { mode: 'lockstep', seconds_per_tick: 0, revision: 5 }));
  expect(test.site.run.stale(test.nowMs + 9_000)).toBe(false);
  expect(test.site.run.stale(test.nowMs + 11_000)).toBe(true);
});

it('counts from a change of the pace, not from the tick before it', () => {
  test.receive('tick/clock', tick(1, { mode: 'realtime', seconds_per_tick: 900 }));
  test.nowMs += 200_000;
  test.receive('state/clock/clock', clockState({ mode: 'scaled', seconds_per_tick: 2, revision: 4 }));
  expect(test.site.run.stale(test.nowMs + 3_000)).toBe(false);
  expect(test.site.run.stale(test.nowMs + 5_000)).toBe(true);
});

it('draws no tick of which it has a part, and knows no price of it', () => {
  test.retained('tick/clock', tick(7, { phase: 'trade' }));
  test.receive('presence/c/producer/t-1', presence('producer', 'c'));
  test.receive('presence/c/consumer/h-1', presence('consumer', 'c'));
  const receipt = { tick: 7, serial: 1, lots: [{ index: 0, energy_wh: 500, price_ueur_per_kwh: 300_000 }] };
  test.receive('receipt/t-1/h-1', receipt);
  test.receive('state/producer/t-1', producerState(7));
  test.receive('tick/clock', tick(8));
  expect(test.site.history.finished()).toEqual([]);
  expect(test.site.history.last?.meanPrice).toBeNaN();
  expect(test.site.history.last?.generated).toBe(10_000); // accounts are whole
  test.receive('receipt/t-1/h-1', { ...receipt, tick: 8 });
  test.receive('tick/clock', tick(9));
  expect(test.site.history.finished().map((each) => [each.tick, each.meanPrice])).toEqual([[8, 300_000]]);
});

it('keeps the end of a run as it was: who stops afterwards is not offline', () => {
  test.receive('tick/clock', tick(1));
  test.receive('presence/c/producer/t-1', presence('producer', 'c'));
  test.receive('state/clock/clock', clockState());
  test.receive('state/clock/clock', clockState({ status: 'finished' }));
  test.receive('presence/c/producer/t-1', presence('producer', 'c', { online: false }));
  expect(test.online()).toContain('t-1');
  expect(test.site.isOutdated(test.site.devices.get('t-1')!)).toBe(false);
  expect(test.site.history.finished().map((each) => each.tick)).toEqual([1]);
});
