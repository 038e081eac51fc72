// Who has traded with whom, as far as the page has received it.

const MAX_PAIRS = 100_000;

/** What a seller sold to a buyer: energy in Wh, money in nEUR, and in how many receipts. */
export interface Trade {
  seller: string;
  buyer: string;
  wh: number;
  neur: number;
  receipts: number;
  lastTick: number;
}

export class Partners {
  private readonly pairs = new Map<string, Trade>();

  add(seller: string, buyer: string, tick: number, lots: readonly { energy_wh: number; price_ueur_per_kwh: number }[]): void {
    if (!lots.length) return;
    const key = `${seller} ${buyer}`;
    let trade = this.pairs.get(key);
    if (!trade) {
      if (this.pairs.size >= MAX_PAIRS) return;
      this.pairs.set(key, (trade = { seller, buyer, wh: 0, neur: 0, receipts: 0, lastTick: tick }));
    }
    for (const lot of lots) {
      trade.wh += lot.energy_wh;
      trade.neur += lot.energy_wh * lot.price_ueur_per_kwh;
    }
    trade.receipts += 1;
    trade.lastTick = Math.max(trade.lastTick, tick);
  }

  /** Put back what the server has counted. */
  restore(pairs: Record<string, [wh: number, neur: number, receipts: number, lastTick: number]>): void {
    for (const [key, [wh, neur, receipts, lastTick]] of Object.entries(pairs)) {
      const [seller = '', buyer = ''] = key.split(' ');
      this.pairs.set(key, { seller, buyer, wh, neur, receipts, lastTick });
    }
  }

  /** The trades of a device, those with most energy first. */
  of(device: string): Trade[] {
    return [...this.pairs.values()].filter((each) => each.seller === device || each.buyer === device).sort((a, b) => b.wh - a.wh);
  }

  clear(): void {
    this.pairs.clear();
  }
}
