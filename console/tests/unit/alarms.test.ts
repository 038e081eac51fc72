import { beforeEach, expect, it } from 'vitest';
import { Alarms } from '../../src/model/alarms';
import { Drill } from '../../src/model/status';
import { clockState, consumerState, presence, TestSite, tick, vehicleState } from './publications';

let test: TestSite;
let alarms: Alarms;
let drill: Drill;
beforeEach(() => {
  test = new TestSite();
  alarms = new Alarms(test.site);
  drill = new Drill();
  for (const id of ['c-1', 'c-2']) test.receive(`presence/c/consumer/${id}`, presence('consumer', 'c'));
  test.receive('presence/c/vehicle/v-1', presence('vehicle', 'c'));
  test.receive('tick/clock', tick(1));
});

/** What is announced as new at a time; then what is active. */
const at = (ms: number): string[][] => {
  drill.update(test.site.run, ms);
  const raised = alarms.update(ms, drill).map((each) => each.text);
  return [raised, alarms.active.map((each) => each.text)];
};
const offline = (id: string, online = false): void =>
  test.receive(`presence/c/consumer/${id}`, presence('consumer', 'c', { online }));

it('is silent while all is well', () => {
  test.receive('state/consumer/c-1', consumerState(1));
  expect(at(10_000)).toEqual([[], []]);
  expect(at(20_000)).toEqual([[], []]);
});

it('announces a device that stays offline once, and again for another', () => {
  offline('c-1');
  expect(at(10_000)).toEqual([[], []]);
  expect(at(12_500)).toEqual([['1 device offline: c-1'], ['1 device offline: c-1']]);
  expect(at(14_000)).toEqual([[], ['1 device offline: c-1']]);
  offline('c-2');
  at(15_000);
  expect(at(18_000)).toEqual([['2 devices offline: c-1, c-2'], ['2 devices offline: c-1, c-2']]);
  offline('c-1', true);
  offline('c-2', true);
  expect(at(19_000)).toEqual([[], []]);
});

it('does not announce a device that reconnects at once', () => {
  offline('c-1');
  at(10_000);
  offline('c-1', true);
  expect(at(13_000)).toEqual([[], []]);
});

it('does not announce the devices of a drill, unless they stay offline after it', () => {
  test.receive('tick/clock', tick(2, { settings: { outage_s: 5 } }));
  offline('c-1');
  at(20_000);
  expect(at(24_000)[1]).toEqual([]);
  at(40_000);
  expect(at(43_000)[0]).toEqual(['1 device offline: c-1']);
});

it('announces energy that is not served, and stranded and suspended devices', () => {
  test.receive('state/consumer/c-1', consumerState(1, { demand_wh: 6_000 }));
  test.receive('state/vehicle/v-1', vehicleState(1, { status: 'stranded' }));
  test.receive('suspension/c-2/recorder', { lie: 'overbill', evidence: 'e', since_tick: 1, until_tick: 97 });
  at(10_000);
  expect(at(13_000)[0]).toEqual([
    '1 consumer without all the energy wanted: c-1',
    '1 vehicle stranded: v-1',
    '1 device suspended: c-2',
  ]);
});

it('is calm after the end of the run', () => {
  offline('c-1');
  at(10_000);
  expect(at(13_000)[1]).toHaveLength(1);
  test.receive('state/clock/clock', clockState({ status: 'finished' }));
  expect(at(14_000)).toEqual([[], []]);
});

it('announces what the auditor found at the end, and nothing of a run that was good', () => {
  const end = { kind: 'run', state: 'finished', mode: 'live', title: '', first: 0, last: 9, ticks: 10, report: null, progress: null, files: [], again: false, reason: '', marks: [] } as const;
  test.receive('state/clock/clock', clockState({ status: 'finished' }));
  test.site.runState = { ...end, files: [], marks: [], result: 'Run finished – all checks hold', good: true };
  expect(at(14_000)).toEqual([[], []]);
  test.site.runState = { ...end, files: [], marks: [], result: 'Run finished – 2 checks are breached', good: false };
  expect(at(15_000)[0]).toEqual(['Run finished – 2 checks are breached']);
  expect(at(16_000)).toEqual([[], ['Run finished – 2 checks are breached']]);
});

it('raises nothing while somebody looks at the past', () => {
  offline('c-1');
  at(10_000);
  test.site.viewing = { live: false, replay: false, tick: 3 };
  expect(at(13_000)).toEqual([[], []]);
});
