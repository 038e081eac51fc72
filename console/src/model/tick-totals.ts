// The totals of each tick: what the charts and the market view are drawn from.

import { TICK_MS, type Package, type Receipt, type Tick } from './messages';
import type { Device, DeviceState } from './devices';
import { restoreTotals, type FrameTotals } from './history';

const MAX_TICKS = 960;
/** Bids and receipts are kept for this many ticks; the market view shows the last two. */
const TICKS_WITH_BIDS = 3;

/** Who sold: a producer or a storage of the buyer's own cell, a seller of another cell, or the grid supply. */
export type Source = 'producer' | 'storage' | 'imported' | 'grid-supply';
export interface ServedLot {
  index: number;
  wh: number;
  ueur: number;
  source: Source;
  seller: string;
}
/** How often something was refused, by reason and device. */
export type Refusals = Map<string, Map<string, number>>;

/** The totals of one tick. Energies in Wh, money in nEUR. */
export class TickTotals {
  /** Simulated time at its beginning. */
  ms = 0;
  /** Whether no message of it is missing: a page that joins during a tick has only a part of it. */
  whole = false;
  /** How many devices have reported their state of it. */
  reports = 0;
  /** What producers generated, and what of it nobody bought. */
  generated = 0;
  curtailed = 0;
  /** What the grid supply sold. */
  gridSupply = 0;
  /** What consumers wanted, and what they bought. */
  demand = 0;
  bought = 0;
  /** What chargers bought. */
  charged = 0;
  storageBought = 0;
  storageSold = 0;
  storedStorages = NaN;
  storedChargers = NaN;
  storedVehicles = NaN;
  /** Money earned less money paid since the start, by seller. */
  readonly balance = new Map<string, number>();
  soldWh = 0;
  soldNeur = 0;
  lowest = Infinity;
  accepted = 0;
  acceptedUeur = 0;
  acceptedKm = 0;
  acceptedNeur = 0;
  bids: Map<string, readonly Package[]> | null = new Map();
  served: Map<string, ServedLot[]> | null = new Map();
  supply: Map<string, number> | null = new Map();
  /** Energy from cell to cell: `a>b` → Wh. */
  readonly flows = new Map<string, number>();
  /** Energy from the grid supply, by buyer. */
  readonly gridSupplyTo = new Map<string, number>();
  /** Charging requests that chargers declined. */
  readonly declined: Refusals = new Map();
  /** Awards that buyers refused, by buyer. */
  readonly refusedAwards = new Map<string, number>();
  private receipts: Set<string> | null = new Set();

  constructor(readonly tick: number) {}

  /** Add a device's report. */
  addState(id: string, state: DeviceState): void {
    this.reports += 1;
    switch (state.role) {
      case 'producer':
        this.generated += state.generated_wh;
        this.curtailed += state.curtailed_wh;
        this.balance.set(id, state.balance_neur);
        break;
      case 'grid-supply':
        this.gridSupply += state.sold_wh;
        this.balance.set(id, state.balance_neur);
        break;
      case 'storage':
        this.storageBought += state.bought_wh;
        this.storageSold += state.sold_wh;
        this.storedStorages = (this.storedStorages || 0) + state.stored_wh;
        this.balance.set(id, state.balance_neur);
        break;
      case 'consumer':
        this.demand += state.demand_wh;
        this.bought += state.bought_wh;
        break;
      case 'charger':
        this.charged += state.bought_wh;
        this.storedChargers = (this.storedChargers || 0) + state.stored_wh;
        break;
      case 'vehicle':
        this.storedVehicles = (this.storedVehicles || 0) + state.stored_wh;
        break;
    }
  }

  /** Add what a buyer took of an award; a repeated receipt changes nothing. */
  addReceipt(seller: string, buyer: string, receipt: Receipt, from: Device | undefined, to: Device | undefined): void {
    if (!this.isFirst(`${seller} ${buyer} ${receipt.serial}`)) return;
    if (!receipt.lots.length) {
      this.refusedAwards.set(buyer, (this.refusedAwards.get(buyer) ?? 0) + 1);
      return;
    }
    const source = sourceOf(from, to);
    let served = this.served?.get(buyer);
    if (!served) this.served?.set(buyer, (served = []));
    let wh = 0;
    for (const { index, energy_wh, price_ueur_per_kwh: ueur } of receipt.lots) {
      wh += energy_wh;
      this.soldNeur += energy_wh * ueur;
      this.lowest = Math.min(this.lowest, ueur);
      served?.push({ index, wh: energy_wh, ueur, source, seller });
    }
    this.soldWh += wh;
    if (source === 'grid-supply') this.gridSupplyTo.set(buyer, (this.gridSupplyTo.get(buyer) ?? 0) + wh);
    if (source === 'imported' && from && to) {
      const way = `${from.cell}>${to.cell}`;
      this.flows.set(way, (this.flows.get(way) ?? 0) + wh);
    }
  }

  /** Drop what only the market view of the latest ticks needs. */
  dropBids(): void {
    this.bids = this.served = this.supply = this.receipts = null;
    this.flows.clear();
    this.gridSupplyTo.clear();
  }

  private isFirst(receipt: string): boolean {
    if (!this.receipts || this.receipts.has(receipt)) return false;
    this.receipts.add(receipt);
    return true;
  }

  get meanPrice(): number {
    return this.whole && this.soldWh ? this.soldNeur / this.soldWh : NaN; // NaN where trades are missing
  }
  get lowestPrice(): number {
    return this.whole && this.lowest < Infinity ? this.lowest : NaN;
  }
  /** The grid supply's share of the energy that was not curtailed; what storages sell was bought before. */
  get gridSupplyShare(): number {
    const all = this.generated - this.curtailed + this.gridSupply;
    return all > 0 ? this.gridSupply / all : NaN;
  }
}

/** The totals of the latest ticks. */
export class TickHistory {
  private readonly totals = new Map<number, TickTotals>();
  private current: Tick | null = null;
  /** Whether the run has ended, so that the tick that ran is finished too. */
  ended = false;

  /** The totals of a tick, created on first use; those of a tick out of range are not kept. */
  of(tick: number): TickTotals {
    let found = this.totals.get(tick);
    if (found) return found;
    found = new TickTotals(tick);
    const now = this.current?.tick ?? tick;
    if (tick > now - MAX_TICKS && tick <= now + 1) {
      this.totals.set(tick, found);
      if (this.current) found.ms = startOf(this.current) - (now - tick) * TICK_MS;
    }
    return found;
  }

  /** Begin a tick: drop what is too old. */
  begin(tick: Tick, whole = true): void {
    this.onPhase(tick);
    this.ended = false;
    const begun = this.of(tick.tick);
    begun.ms = startOf(tick);
    begun.whole = whole;
    for (const [number, totals] of this.totals) {
      if (number <= tick.tick - MAX_TICKS) this.totals.delete(number);
      else if (number <= tick.tick - TICKS_WITH_BIDS) totals.dropBids();
    }
  }

  /** A phase of the tick has begun. */
  onPhase(tick: Tick): void {
    this.current = tick;
  }

  /** Put back what the server has kept of an earlier tick. */
  restore(tick: number, from: FrameTotals): void {
    restoreTotals(this.of(tick), from);
  }

  /** Of the ticks after one, only these are known as a whole. */
  keepWhole(whole: readonly number[], after: number): void {
    for (const totals of this.totals.values()) {
      if (totals.tick > after && !whole.includes(totals.tick)) totals.whole = false;
    }
  }

  /** Note that messages of the tick that runs are missing. */
  noteGap(): void {
    if (this.running) this.running.whole = false;
  }

  clear(): void {
    this.totals.clear();
    this.current = null;
    this.ended = false;
  }

  /** The totals of the tick that runs, if anything of it is known. */
  get running(): TickTotals | null {
    return this.current ? (this.totals.get(this.current.tick) ?? null) : null;
  }

  /** The totals of the last finished tick, if any. Accounts are retained, so its sums are known also where it is not whole. */
  get last(): TickTotals | null {
    return this.totals.get(this.end - 1) ?? null;
  }

  /** The newest tick that the devices have reported: while reports of the last one still come in, the one before. */
  settled(): TickTotals | null {
    const last = this.last;
    const before = this.totals.get(this.end - 2);
    const isArriving = this.current?.phase === 'bid' && (last?.reports ?? 0) < (before?.reports ?? 0);
    return isArriving && before ? before : last;
  }

  /** The totals of all finished ticks that are known as a whole, oldest first. */
  finished(): TickTotals[] {
    const { end } = this;
    return [...this.totals.values()].filter((each) => each.tick < end && each.whole).sort((a, b) => a.tick - b.tick);
  }

  /** The first tick that is not finished. */
  private get end(): number {
    return (this.current?.tick ?? 0) + (this.ended ? 1 : 0);
  }
}

function sourceOf(from: Device | undefined, to: Device | undefined): Source {
  if (from?.role === 'grid-supply') return 'grid-supply';
  if (from && to && from.cell !== to.cell) return 'imported';
  return from?.role === 'storage' ? 'storage' : 'producer';
}

/** Simulated time at the beginning of a tick, in ms. */
export function startOf(tick: Tick): number {
  return Math.floor(tick.simulated_ms / TICK_MS) * TICK_MS;
}

export function addRefusals(sums: Refusals, reason: string, device: string, count = 1): void {
  let devices = sums.get(reason);
  if (!devices) sums.set(reason, (devices = new Map()));
  devices.set(device, (devices.get(device) ?? 0) + count);
}
