import { beforeEach, expect, it } from 'vitest';
import { Drill, statusOf } from '../../src/model/status';
import { clockState, presence, TestSite, tick } from './publications';

let test: TestSite;
let drill: Drill;
beforeEach(() => {
  test = new TestSite();
  drill = new Drill();
});

const status = (laterMs = 0): string => {
  const now = test.nowMs + laterMs;
  drill.update(test.site.run, now);
  return statusOf(test.site, true, drill, now).text;
};
const realTime = (changes: object): object => tick(4, { mode: 'realtime', seconds_per_tick: 900, ...changes });

it('says that a live site has no devices', () => {
  test.receive('tick/clock', tick(4));
  expect(status()).toBe('Live – no devices');
  test.receive('presence/c/producer/t-1', presence('producer', 'c'));
  expect(status()).toBe('Live');
  test.receive('presence/c/producer/t-1', presence('producer', 'c', { online: false }));
  expect(status()).toBe('Live – no devices');
});

it('says when the next tick comes, where ticks are long', () => {
  test.receive('presence/c/producer/t-1', presence('producer', 'c'));
  test.receive('tick/clock', realTime({ phase: 'settle', simulated_ms: 4 * 900_000 + 60_000 }));
  expect(status()).toBe('Live – next tick in 14 min');
  expect(status(13 * 60_000)).toBe('Live – next tick in 60 s');
  expect(status(14 * 60_000 + 5_000)).toBe('Live');
});

it('counts a drill down from when it was stated, and is live in it', () => {
  test.receive('presence/c/producer/t-1', presence('producer', 'c'));
  test.receive('tick/clock', tick(4, { seconds_per_tick: 30 }));
  expect(status()).toMatch(/^Live/);
  test.receive('tick/clock', tick(5, { seconds_per_tick: 30, settings: { outage_s: 20 } }));
  expect(status()).toBe('Drill, 20 s left');
  test.receive('presence/c/producer/t-1', presence('producer', 'c', { online: false }));
  expect(status(8_000)).toBe('Drill, 12 s left');
  expect(drill.explainsOffline(test.nowMs + 22_000)).toBe(true);
  expect(drill.explainsOffline(test.nowMs + 60_000)).toBe(false);
});

it('names every other state', () => {
  expect(status()).toBe('Connected, no tick yet');
  expect(statusOf(test.site, false, drill, 0).text).toBe('Not connected');
  test.retained('tick/clock', tick(4));
  expect(status()).toBe('Connected, waiting for the next phase');
  test.receive('tick/clock', tick(4, { phase: 'trade', paused: true }));
  expect(status()).toBe('Paused');
  test.receive('tick/clock', tick(4, { phase: 'import' }));
  expect(status(9_000)).toBe('Outdated: no tick for 9 s');
  test.receive('state/clock/clock', clockState({ status: 'finished' }));
  expect(status(9_000)).toBe('Run ended');
});
