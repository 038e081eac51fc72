// Who is suspended: by the auditor's judgement, until it is over or an operator ends it.

import { expect, it } from 'vitest';
import { clockState, presence, TestSite, tick } from './publications';

const judged = { lie: 'supply beyond limits', evidence: 'supply of tick 1', since_tick: 2, until_tick: 5, epoch: 0 };

function site(): TestSite {
  const test = new TestSite();
  test.receive('presence/c/producer/turbine-1', presence('producer', 'c'));
  test.receive('tick/clock', tick(1));
  test.receive('state/clock/clock', clockState());
  test.receive('suspension/turbine-1/recorder', judged);
  return test;
}

const logged = (test: TestSite): string[] => test.site.log.entries.filter(({ kind }) => kind === 'suspended').map(({ text }) => text);

it('shows a suspension from the tick of the lie until it is over', () => {
  const test = site();
  expect(test.site.suspensionOf('turbine-1')?.lie).toBe('supply beyond limits');
  expect(test.site.suspensionOf('turbine-2')).toBeNull();
  test.receive('tick/clock', tick(4));
  expect(test.site.suspensionOf('turbine-1')).not.toBeNull();
  test.receive('tick/clock', tick(5));
  expect(test.site.suspensionOf('turbine-1')).toBeNull();
  expect(logged(test)).toEqual(['turbine-1 is suspended until tick 6 by recorder: supply beyond limits']);
});

it('takes the latest judgement, and of one tick the one that ends first', () => {
  const test = site();
  test.receive('suspension/turbine-1/ann', { ...judged, lie: 'meter replaced', since_tick: 2, until_tick: 2 });
  expect(test.site.suspensionOf('turbine-1')).toBeNull();
  test.receive('suspension/turbine-1/recorder', judged);
  expect(test.site.suspensionOf('turbine-1')).toBeNull();
  expect(logged(test)[0]).toBe('turbine-1 takes part again: meter replaced (ann)');
});

it('forgets the suspensions of an earlier run', () => {
  const test = site();
  test.receive('tick/clock', tick(0, { epoch: 9 }));
  expect(test.site.suspensionOf('turbine-1')).toBeNull();
});
