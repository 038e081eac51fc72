// The history of a run from the page's server (dashboards/console/history): what a page has that was there from the start.

import type { Publication } from './decoder';
import type { Refusals, TickTotals } from './tick-totals';

/** [real ms, topic, payload, 1 if the broker had retained it]. */
export type Line = [ms: number, topic: string, payload: object, retained: 0 | 1];
type Counts = Record<string, Record<string, number>>;

/** The numbers of TickTotals as they are; maps as objects. */
export interface FrameTotals {
  [field: string]: number | boolean | Record<string, number> | Counts;
}
export interface Frame {
  tick: number;
  totals: FrameTotals | null;
  /** Messages that devices ignored, as they reported in this tick. */
  refused: Counts;
  maxPower: number;
  events: Line[];
}
export interface History {
  kind: 'history';
  /** Real ms at the server. */
  now: number;
  /** The first tick that can be shown, and the one that is shown. */
  first: number;
  at: number;
  live: boolean;
  /** Of the ticks in `recent`: those of which no message is missing. */
  whole: number[];
  /** Who had traded with whom before `recent`: Wh, nEUR, receipts and last tick, by seller and buyer with a space between. */
  partners: Record<string, [wh: number, neur: number, receipts: number, lastTick: number]>;
  figures: Record<string, (number | null)[]>;
  base: Line[];
  frames: Frame[];
  states: Line[];
  calls: Line[];
  recent: Line[];
}

/** What the server says about the run itself. */
export interface RunState {
  kind: 'run';
  state: 'starting' | 'running' | 'finished' | 'stopped' | 'lost';
  mode: 'live' | 'replay';
  title: string;
  first: number;
  /** The newest tick that can be shown, and how many the run has. */
  last: number;
  ticks: number;
  /** The result in one sentence, once there is one; and whether all checks hold. */
  result: string | null;
  good: boolean;
  /** The report's address, once it is written; until then how much of it is done, from 0 to 1. */
  report: string | null;
  progress: number | null;
  files: [name: string, address: string][];
  /** Whether the page may ask for another run. */
  again: boolean;
  reason: string;
  /** Events to jump to. */
  marks: [tick: number, text: string][];
}

/** What of the run the page shows. */
export interface Viewing {
  /** Whether it follows the run; false while somebody looks at an earlier tick. */
  live: boolean;
  replay: boolean;
  tick: number;
}

export type FromServer =
  | History
  | RunState
  | { kind: 'messages'; messages: Line[] }
  | { kind: 'shown'; at: number }
  | { kind: 'login'; reason: string };
export type ToServer =
  | { kind: 'at'; tick: number }
  | { kind: 'next' }
  | { kind: 'live' }
  | { kind: 'again' }
  | { kind: 'login'; username: string; password: string };

export function publicationOf([, topic, payload, retained]: Line): Publication {
  return { topic, payload, retained: retained === 1, schema: null };
}

/** Put the numbers and maps of a frame into a tick's totals. */
export function restoreTotals(totals: TickTotals, from: FrameTotals): void {
  const fields = totals as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(from)) {
    const field = fields[name];
    if (!(field instanceof Map)) fields[name] = value;
    else if (name === 'declined') for (const [key, counts] of refusalsOf(value as Counts)) field.set(key, counts);
    else for (const [key, count] of Object.entries(value as Record<string, number>)) field.set(key, count);
  }
}

export function refusalsOf(counts: Counts): Refusals {
  return new Map(Object.entries(counts).map(([reason, devices]) => [reason, new Map(Object.entries(devices))]));
}
