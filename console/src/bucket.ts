// The sums of one tick: what the charts and the market view are drawn from.

import type { Package } from './wire';

export type Server = 'wind' | 'imported' | 'reactor';
export interface Served {
  index: number;
  wh: number;
  ueur: number;
  by: Server;
}

/** The sums of one tick. Energies in Wh, money in nEUR. */
export class Bucket {
  ms = 0;
  /** How many devices have accounted for it. */
  accounts = 0;
  wind = 0;
  reactor = 0;
  demand = 0;
  bought = 0;
  charged = 0;
  curtailed = 0;
  delivered = 0;
  storedChargers = NaN;
  storedVehicles = NaN;
  readonly balance = new Map<string, number>();
  soldWh = 0;
  soldNeur = 0;
  lowest = Infinity;
  accepted = 0;
  acceptedUeur = 0;
  acceptedKm = 0;
  acceptedNeur = 0;
  bids: Map<string, Package[]> | null = new Map();
  served: Map<string, Served[]> | null = new Map();
  supply: Map<string, number> | null = new Map();
  /** From cell to cell, and from reactor to device: `a>b` → Wh. */
  readonly flows = new Map<string, number>();
  readonly reactorTo = new Map<string, number>();
  /** Refusals by reason, and of each how many by whom: of vehicles by chargers, of awards by who should buy. */
  readonly declined = new Map<string, Map<string, number>>();
  readonly unwanted = new Map<string, number>();
  private receipts: Set<string> | null = new Set();

  constructor(readonly tick: number) {}

  /** Whether this receipt is heard for the first time. */
  first(receipt: string): boolean {
    if (!this.receipts || this.receipts.has(receipt)) return false;
    this.receipts.add(receipt);
    return true;
  }

  /** Let go of what only the market of the present tick needs. */
  thin(): void {
    this.bids = this.served = this.supply = this.receipts = null;
    this.flows.clear();
  }

  get meanPrice(): number {
    return this.soldWh ? this.soldNeur / this.soldWh : NaN;
  }
  get lowestPrice(): number {
    return this.lowest < Infinity ? this.lowest : NaN;
  }
  get reactorShare(): number {
    const all = this.wind - this.curtailed + this.reactor;
    return all > 0 ? this.reactor / all : NaN;
  }
}
