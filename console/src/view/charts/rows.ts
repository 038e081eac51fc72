// The rows of a chart's data: a tick each, and an empty one where ticks are missing.

import type { TickTotals } from '../../model/tick-totals';

export interface Row {
  /** Simulated time, in ms. */
  ms: number;
  totals: TickTotals | null;
}

/** The ticks in order, with an empty row where ticks are missing, so that no line spans what is not known. */
export function withGaps(totals: readonly TickTotals[]): Row[] {
  const rows: Row[] = [];
  totals.forEach((each, index) => {
    const before = totals[index - 1];
    if (before && each.tick > before.tick + 1) rows.push({ ms: (before.ms + each.ms) / 2, totals: null });
    rows.push({ ms: each.ms, totals: each });
  });
  return rows;
}
