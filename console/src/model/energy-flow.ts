// Where the energy of a tick came from and where it went: what the bar at the top of the page shows.

import { TICK_MS } from './messages';
import type { TickTotals } from './tick-totals';

/** Wh in a tick times this are W. */
export const TICKS_PER_HOUR = 3_600_000 / TICK_MS;

export type From = 'producer' | 'storage' | 'grid-supply';
export type To = 'consumer' | 'charger' | 'storage' | 'curtailed' | 'unserved';

/** Mean powers during a tick, in W. Without what was not served, both sides have the same sum. */
export interface EnergyFlow {
  from: Readonly<Record<From, number>>;
  to: Readonly<Record<To, number>>;
  /** What was generated and what nobody bought. */
  surplusW: number;
  /** What producers and storages did not cover: the grid supply sold it, or consumers did not get it. */
  shortfallW: number;
}

/** The energy flow of a tick; null where no device has reported it. */
export function energyFlow(totals: TickTotals | null): EnergyFlow | null {
  if (!totals?.reports) return null;
  const unserved = Math.max(0, totals.demand - totals.bought);
  const inW = (wh: number): number => wh * TICKS_PER_HOUR;
  return {
    from: { producer: inW(totals.generated), storage: inW(totals.storageSold), 'grid-supply': inW(totals.gridSupply) },
    to: {
      consumer: inW(totals.bought),
      charger: inW(totals.charged),
      storage: inW(totals.storageBought),
      curtailed: inW(totals.curtailed),
      unserved: inW(unserved),
    },
    surplusW: inW(totals.curtailed),
    shortfallW: inW(totals.gridSupply + unserved),
  };
}

/** The state of the energy balance in words: a few of them, and a sentence that explains them. */
export function balanceWords(
  flow: EnergyFlow | null,
  gridSupply: string,
  inKw: (watts: number) => string,
): { state: 'unknown' | 'balanced' | 'surplus' | 'shortfall'; short: string; long: string } {
  if (!flow) return { state: 'unknown', short: 'Waiting for the first tick', long: 'No device has reported a whole tick yet.' };
  const { surplusW, shortfallW, to } = flow;
  if (shortfallW) {
    const sold = flow.from['grid-supply'];
    const sentences = [
      sold && to.unserved ? `${gridSupply} covers ${inKw(sold)}, ${inKw(to.unserved)} are not served.` : sold ? `${gridSupply} covers it.` : 'Consumers do not get all that they want.',
      surplusW ? `At the same time ${inKw(surplusW)} are generated that nobody buys (curtailed).` : '',
    ];
    return { state: 'shortfall', short: `Shortfall of ${inKw(shortfallW)}`, long: sentences.filter(Boolean).join(' ') };
  }
  if (surplusW) return { state: 'surplus', short: `Surplus of ${inKw(surplusW)}`, long: 'More is generated than the devices buy; the rest is curtailed.' };
  return { state: 'balanced', short: 'In balance', long: 'All that is generated is used or stored.' };
}
