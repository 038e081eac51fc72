// A page that joins late, or looks back, knows field by field what a page knows that was there from the start.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { publicationOf, type History, type Line } from '../../src/model/history';
import { Site } from '../../src/model/site';
import { known } from './known';

interface Recorded {
  site: string;
  lines: Line[];
  /** Histories with the number of lines that had been published at their time. */
  joins: { lines: number; history: History }[];
}
const recorded = JSON.parse(readFileSync(process.env['HISTORY'] ?? '', 'utf8')) as Recorded;

function differences(one: Map<string, string>, other: Map<string, string>): string[] {
  const all = new Set([...one.keys(), ...other.keys()]);
  return [...all].filter((each) => one.get(each) !== other.get(each)).map((each) => `${each}: ${one.get(each)} ≠ ${other.get(each)}`);
}

it.each(recorded.joins)('after $lines lines (live: $history.live)', ({ lines, history }) => {
  const there = new Site(recorded.site);
  there.restore({ ...history, frames: [], recent: [], states: [], calls: [], base: [], partners: {}, live: true }, 0); // from the start
  for (const line of recorded.lines.slice(0, lines)) there.receive(publicationOf(line), line[0]);
  if (!history.live) there.showEndOf();
  const late = new Site(recorded.site);
  late.restore(history, 0);
  const last = recorded.lines[lines - 1]![0] + 10_000;
  for (const site of [there, late]) site.log.flush(last);
  expect(known(there).size).toBeGreaterThan(1_000);
  expect(differences(known(late), known(there)).slice(0, 20)).toEqual([]);
  expect(late.rejected).toEqual(there.rejected);
});

it('goes on as a page that was there', () => {
  const { lines, history } = recorded.joins.find(({ history: { live } }) => live)!;
  const late = new Site(recorded.site);
  late.restore(history, 0);
  for (const line of recorded.lines.slice(lines)) late.receive(publicationOf(line), line[0]);
  const there = new Site(recorded.site);
  there.restore({ ...history, frames: [], recent: [], states: [], calls: [], base: [], partners: {} }, 0);
  for (const line of recorded.lines) there.receive(publicationOf(line), line[0]);
  for (const site of [there, late]) site.log.flush(recorded.lines.at(-1)![0] + 10_000);
  expect(differences(known(late), known(there)).slice(0, 20)).toEqual([]);
});
