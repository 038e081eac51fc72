// Events of the run as marks on the time axis: when a storm began, what an operator changed.

import type { EventLog } from '../../model/event-log';

export interface Mark {
  /** Simulated time, in ms. */
  ms: number;
  text: string;
}

/** Marks that are nearer than this, in pixels, are one mark with several texts. */
export const NEAR_PX = 6;
const NO_EVENT = /^(Connected|Paused|Resumed|A new run|The run begins|The run has ended)/;

/** The events that change the course of a run, oldest first; who requested them is not repeated. */
export function marksOf({ entries }: EventLog): Mark[] {
  return entries
    .filter(({ ms, kind, text }) => Number.isFinite(ms) && (kind === 'run' || kind === 'setting') && !NO_EVENT.test(text) && !text.includes(' requests: '))
    .map(({ ms, text }) => ({ ms, text }))
    .reverse();
}

/** The marks near a place on the axis, by their distance in pixels. */
export function marksNear(marks: readonly Mark[], x: (ms: number) => number, at: number): Mark[] {
  return marks.filter((mark) => Math.abs(x(mark.ms) - at) <= NEAR_PX);
}
