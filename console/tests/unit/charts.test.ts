import { beforeEach, expect, it } from 'vitest';
import { marksNear, marksOf } from '../../src/view/charts/marks';
import { withGaps } from '../../src/view/charts/rows';
import { sliceAt } from '../../src/view/market';
import { consumerState, lot, presence, TestSite, tick } from './publications';

let test: TestSite;
beforeEach(() => {
  test = new TestSite();
});

it('leaves a gap where ticks are missing', () => {
  test.receive('presence/c/consumer/c-1', presence('consumer', 'c'));
  for (const number of [1, 2, 5]) {
    test.receive('tick/clock', tick(number));
    test.receive('state/consumer/c-1', consumerState(number));
  }
  test.receive('tick/clock', tick(6));
  const rows = withGaps(test.site.history.finished().filter((each) => each.reports));
  expect(rows.map((row) => row.totals?.tick ?? null)).toEqual([1, 2, null, 5]);
  expect(rows[2]!.ms).toBe((rows[1]!.ms + rows[3]!.ms) / 2);
});

it('marks what changed the run, and not who connected or requested it', () => {
  test.receive('tick/clock', tick(1));
  test.receive('control/wind_scale/ann', { value: 2, revision: 1 });
  test.receive('tick/clock', tick(2, { settings: { wind_scale: 2, note: 'Gale' } }));
  test.receive('tick/clock', tick(3, { settings: { wind_scale: 2, note: 'Gale' }, paused: true }));
  const marks = marksOf(test.site.log);
  expect(marks.map(({ ms, text }) => [ms / 900_000, text])).toEqual([
    [2, 'Gale'],
    [2, 'Changed: wind speed 1 → 2'],
  ]);
  expect(marksNear(marks, (ms) => ms / 90_000, 24)).toHaveLength(2);
  expect(marksNear(marks, (ms) => ms / 90_000, 40)).toEqual([]);
});

it('names the package at an amount of energy', () => {
  const slices = [{ wh: 10 }, { wh: 5 }];
  expect([0, 9.9, 10, 14.9].map((wh) => slices.indexOf(sliceAt(slices, wh)!))).toEqual([0, 0, 1, 1]);
  expect([-1, 15, NaN].map((wh) => sliceAt(slices, wh))).toEqual([null, null, null]);
});

it('keeps who sold each lot', () => {
  for (const [role, id] of [['consumer', 'c-1'], ['producer', 't-1']]) test.receive(`presence/c/${role}/${id}`, presence(role!, 'c'));
  test.receive('tick/clock', tick(1));
  test.receive('receipt/t-1/c-1', { tick: 1, serial: 1, lots: [lot(0, 5_000, 300_000)] });
  expect(test.site.history.running?.served?.get('c-1')).toEqual([{ index: 0, wh: 5_000, ueur: 300_000, source: 'producer', seller: 't-1' }]);
});
