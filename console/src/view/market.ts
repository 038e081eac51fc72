// The market of one tick as a merit order: all packages, highest price first, and who served each.

import { kwh, plain, price } from '../format';
import type { Site } from '../model/site';
import type { Source, TickTotals } from '../model/tick-totals';
import { ROLE_COLOUR, type Colours } from './palette';
import { nameOfRole } from './roles';
import { labelFont, rem } from './text-size';

interface Slice {
  wh: number;
  /** The price that the buyer bid. */
  ueur: number;
  by: Source | 'unserved';
  buyer: string;
  /** Who sold it, and the price that was paid; null where nobody sold. */
  sold: { seller: string; ueur: number } | null;
}
const ORDER = ['producer', 'storage', 'imported', 'grid-supply', 'unserved'] as const;
/** Margins, in the size of the text (rem). */
const LEFT_REM = 2.9;
const BOTTOM_REM = 1.7;
const TOP_REM = 1.1;

export class MarketView {
  cell = '';
  private key = '';
  private shown: readonly Slice[] = [];
  /** From pixels to Wh, as last drawn. */
  private whAt: (x: number) => number = () => NaN;
  private readonly tip = document.getElementById('merit-tip')!;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly caption: HTMLElement,
    private readonly site: Site,
  ) {
    canvas.addEventListener('pointermove', (event) => this.showTip(event));
    canvas.addEventListener('pointerleave', () => (this.tip.hidden = true));
  }

  /** Name the package under the pointer: who wants how much of it, and from whom it comes. */
  private showTip(event: PointerEvent): void {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const slice = sliceAt(this.shown, this.whAt(x));
    this.tip.hidden = !slice;
    if (!slice) return;
    const name = document.createElement('b');
    name.textContent = `${slice.buyer}: ${kwh(slice.wh)}`;
    this.tip.replaceChildren(name, sentence(slice));
    this.tip.style.left = `${Math.max(0, Math.min(x + 12, box.width - this.tip.offsetWidth))}px`;
    this.tip.style.top = `${event.clientY - box.top + 16}px`;
  }

  draw(colours: Colours): void {
    const totals = this.shownTick();
    const { width, height } = this.canvas.getBoundingClientRect();
    if (!width) return;
    const slices = totals ? this.slices(totals) : [];
    const supply = totals ? this.supply(totals) : 0;
    const sums = { producer: 0, storage: 0, imported: 0, 'grid-supply': 0, unserved: 0 };
    for (const slice of slices) sums[slice.by] += slice.wh;
    const key = [totals?.tick, supply, rem(), width, height, colours.ink, this.cell, ...Object.values(sums)].join();
    if (key === this.key) return;
    this.key = key;
    this.shown = slices;
    this.describe(totals, supply, sums, slices);
    this.drawCurve(colours, slices, supply, width, height);
  }

  /** The running tick, once something is sold; until then the one before. */
  private shownTick(): TickTotals | null {
    const { running, last } = this.site.history;
    const trading = running?.served?.size && this.site.tick?.phase !== 'bid';
    return (trading ? running : last) ?? running;
  }

  private inCell(id: string): boolean {
    return this.cell === '' || this.site.devices.get(id)?.cell === this.cell;
  }

  private supply(totals: TickTotals): number {
    let sum = 0;
    for (const [id, wh] of totals.supply ?? []) if (this.inCell(id)) sum += wh;
    return sum;
  }

  private slices(totals: TickTotals): Slice[] {
    const found: Slice[] = [];
    for (const [id, packages] of totals.bids ?? []) {
      if (!this.inCell(id)) continue;
      const served = totals.served?.get(id) ?? [];
      for (const wanted of packages) {
        let left = wanted.energy_wh;
        for (const lot of served) {
          if (lot.index !== wanted.index) continue;
          const wh = Math.min(lot.wh, left);
          left -= wh;
          found.push({ wh, ueur: wanted.price_ueur_per_kwh, by: lot.source, buyer: id, sold: { seller: lot.seller, ueur: lot.ueur } });
        }
        if (left > 0) found.push({ wh: left, ueur: wanted.price_ueur_per_kwh, by: 'unserved', buyer: id, sold: null });
      }
    }
    return found.sort((a, b) => b.ueur - a.ueur || ORDER.indexOf(a.by) - ORDER.indexOf(b.by) || (a.buyer < b.buyer ? -1 : 1));
  }

  private describe(totals: TickTotals | null, supply: number, sums: Record<Slice['by'], number>, slices: Slice[]): void {
    if (!totals) {
      this.caption.textContent = 'No bids yet.';
      return;
    }
    const wanted = slices.reduce((sum, each) => sum + each.wh, 0);
    const sold = slices.filter((each) => each.by !== 'unserved');
    const lowest = sold.length ? Math.min(...sold.map((each) => each.ueur)) : NaN;
    this.caption.textContent =
      `Tick ${plain(totals.tick + 1)}: ${kwh(wanted)} requested, ${kwh(supply)} offered. Sold by producers ${kwh(sums.producer)}, ` +
      (this.site.devices.has('storage') ? `by storages ${kwh(sums.storage)}, ` : '') +
      `by neighbouring cells ${kwh(sums.imported)}, by the grid supply ${kwh(sums['grid-supply'])}; ` +
      `${kwh(sums.unserved)} found no seller at its price. Lowest price sold: ${price(lowest)}.`;
  }

  private drawCurve(colours: Colours, slices: Slice[], supply: number, width: number, height: number): void {
    const density = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(height * density);
    const pen = this.canvas.getContext('2d')!;
    pen.scale(density, density);
    const size = rem();
    const [LEFT, BOTTOM, TOP] = [LEFT_REM * size, BOTTOM_REM * size, TOP_REM * size];
    pen.font = labelFont();
    const wanted = slices.reduce((sum, each) => sum + each.wh, 0);
    const most = Math.max(wanted, Math.min(supply, wanted * 1.6), 1) * 1.04;
    const highest = Math.max(1, ...slices.map((each) => each.ueur / 1e6)) * 1.06;
    const x = (wh: number): number => LEFT + (wh / most) * (width - LEFT - 12);
    const y = (eur: number): number => height - BOTTOM - (eur / highest) * (height - BOTTOM - TOP);

    this.whAt = (pixels) => ((pixels - LEFT) / (width - LEFT - 12)) * most;
    pen.strokeStyle = colours.grid;
    pen.fillStyle = colours.muted;
    pen.lineWidth = 1;
    pen.textAlign = 'right';
    pen.textBaseline = 'middle';
    const raster = highest > 3 ? Math.ceil(highest / 5) : 0.25;
    for (let eur = 0; eur <= highest; eur += raster) {
      pen.beginPath();
      pen.moveTo(LEFT, y(eur));
      pen.lineTo(width - 12, y(eur));
      pen.stroke();
      pen.fillText(plain(eur, 2), LEFT - 6, y(eur));
    }
    pen.textBaseline = 'alphabetic';
    pen.textAlign = 'center';
    const stride = roundUp(most / (width < 30 * size ? 3 : 8));
    for (let wh = 0; wh <= most; wh += stride) pen.fillText(plain(wh / 1000), x(wh), height - 8);
    pen.textAlign = 'right';
    pen.fillText('kWh', width - 12, height - 8 - 0.8 * size);
    pen.textAlign = 'left';
    pen.fillText('€/kWh', 4, 0.7 * size);

    const fill: Record<Source, string> = {
      producer: colours[ROLE_COLOUR.producer],
      storage: colours[ROLE_COLOUR.storage],
      imported: colours.imported,
      'grid-supply': colours[ROLE_COLOUR['grid-supply']],
    };
    let at = 0;
    for (const slice of slices) {
      const [left, right, upper] = [x(at), x(at + slice.wh), y(slice.ueur / 1e6)];
      at += slice.wh;
      if (slice.by === 'unserved') continue;
      pen.fillStyle = fill[slice.by];
      pen.globalAlpha = 0.8;
      pen.fillRect(left, upper, Math.max(right - left, 0.5), height - BOTTOM - upper);
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 1.5;
    let before: boolean | null = null;
    at = 0;
    for (const slice of slices) {
      const [left, right, level] = [x(at), x(at + slice.wh), y(slice.ueur / 1e6)];
      at += slice.wh;
      const served = slice.by !== 'unserved';
      if (before === null) {
        pen.beginPath();
        pen.moveTo(left, level);
      } else if (served !== before) {
        pen.setLineDash(before ? [] : [4, 3]);
        pen.stroke();
        pen.beginPath();
        pen.moveTo(left, level);
      }
      before = served;
      pen.lineTo(left, level);
      pen.lineTo(right, level);
    }
    if (before !== null) {
      pen.setLineDash(before ? [] : [4, 3]);
      pen.stroke();
    }
    pen.setLineDash([6, 4]);
    const floor = this.site.facts ? this.site.facts.reactor_price_ueur_per_kwh / 1e6 : Infinity;
    if (floor < highest) {
      pen.strokeStyle = colours[ROLE_COLOUR['grid-supply']];
      pen.beginPath();
      pen.moveTo(LEFT, y(floor));
      pen.lineTo(width - 12, y(floor));
      pen.stroke();
      pen.fillStyle = pen.strokeStyle;
      pen.textAlign = 'right';
      pen.fillText(`${nameOfRole(this.site, 'grid-supply')}: from ${price(this.site.facts!.reactor_price_ueur_per_kwh)}`, width - 16, y(floor) - 4);
    }
    if (supply > 0) {
      pen.strokeStyle = pen.fillStyle = colours[ROLE_COLOUR.producer];
      const edge = Math.min(x(supply), width - 12);
      pen.beginPath();
      pen.moveTo(edge, TOP);
      pen.lineTo(edge, height - BOTTOM);
      pen.stroke();
      const beyond = x(supply) > width - 12 ? ' →' : '';
      const right = edge < width / 2;
      pen.textAlign = right ? 'left' : 'right';
      pen.fillText(`offered: ${kwh(supply)}${beyond}`, edge + (right ? 5 : -5), TOP - 2);
    }
    pen.setLineDash([]);
  }
}

/** The slice of the merit order at an amount of energy; null beyond its end. */
export function sliceAt<T extends { wh: number }>(slices: readonly T[], wh: number): T | null {
  if (!(wh >= 0)) return null;
  let end = 0;
  for (const slice of slices) {
    end += slice.wh;
    if (wh < end) return slice;
  }
  return null;
}

function sentence({ ueur, by, sold }: Slice): string {
  if (!sold) return `bids ${price(ueur)}; no seller at this price`;
  const from = { producer: '', storage: '', imported: ' of another cell', 'grid-supply': '', unserved: '' }[by];
  return `bids ${price(ueur)}, buys from ${sold.seller}${from} for ${price(sold.ueur)}`;
}

/** The next round number: 1, 2, 5 or 10 times a power of ten. */
function roundUp(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const digit = rough / power;
  return (digit > 5 ? 10 : digit > 2 ? 5 : digit > 1 ? 2 : 1) * power;
}
