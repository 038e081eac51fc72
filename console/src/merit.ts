// The market of one tick as a merit order: all packages, dearest first, and who served each.

import { kwh, plain, price } from './format';
import type { Bucket, Server } from './bucket';
import type { Site } from './model';
import type { Colours } from './palette';

interface Slice {
  wh: number;
  ueur: number;
  by: Server | 'unserved';
}
const ORDER = ['wind', 'imported', 'reactor', 'unserved'] as const;
const LEFT = 44;
const BOTTOM = 26;
const TOP = 12;

export class Merit {
  cell = '';
  private key = '';

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly caption: HTMLElement,
    private readonly site: Site,
  ) {}

  draw(colours: Colours): void {
    const bucket = this.present();
    const { width, height } = this.canvas.getBoundingClientRect();
    if (!width) return;
    const slices = bucket ? this.slices(bucket) : [];
    const supply = bucket ? this.supply(bucket) : 0;
    const sums = { wind: 0, imported: 0, reactor: 0, unserved: 0 };
    for (const slice of slices) sums[slice.by] += slice.wh;
    const key = [bucket?.tick, supply, width, height, colours.ink, this.cell, ...Object.values(sums)].join();
    if (key === this.key) return;
    this.key = key;
    this.say(bucket, supply, sums, slices);
    this.paint(colours, slices, supply, width, height);
  }

  /** The present tick, once it has bids; the one before until then. */
  private present(): Bucket | null {
    const now = this.site.tick ? this.site.buckets.get(this.site.tick.tick) : undefined;
    const trading = now?.served?.size && this.site.tick?.phase !== 'bid';
    return (trading ? now : this.site.last) ?? now ?? null;
  }

  private inCell(id: string): boolean {
    return this.cell === '' || this.site.devices.get(id)?.cell === this.cell;
  }

  private supply(bucket: Bucket): number {
    let sum = 0;
    for (const [id, wh] of bucket.supply ?? []) if (this.inCell(id)) sum += wh;
    return sum;
  }

  private slices(bucket: Bucket): Slice[] {
    const found: Slice[] = [];
    for (const [id, packages] of bucket.bids ?? []) {
      if (!this.inCell(id)) continue;
      const served = bucket.served?.get(id) ?? [];
      for (const wanted of packages) {
        let left = wanted.wh;
        for (const lot of served) {
          if (lot.index !== wanted.index) continue;
          const wh = Math.min(lot.wh, left);
          left -= wh;
          found.push({ wh, ueur: wanted.ueur, by: lot.by });
        }
        if (left > 0) found.push({ wh: left, ueur: wanted.ueur, by: 'unserved' });
      }
    }
    return found.sort((a, b) => b.ueur - a.ueur || ORDER.indexOf(a.by) - ORDER.indexOf(b.by));
  }

  private say(bucket: Bucket | null, supply: number, sums: Record<Slice['by'], number>, slices: Slice[]): void {
    if (!bucket) {
      this.caption.textContent = 'No market heard yet.';
      return;
    }
    const wanted = slices.reduce((sum, each) => sum + each.wh, 0);
    const sold = slices.filter((each) => each.by !== 'unserved');
    const lowest = sold.length ? Math.min(...sold.map((each) => each.ueur)) : NaN;
    this.caption.textContent =
      `Tick ${plain(bucket.tick + 1)}: ${kwh(wanted)} wanted, ${kwh(supply)} of wind offered. ` +
      `Served by wind ${kwh(sums.wind)}, by neighbours ${kwh(sums.imported)}, by the reactor ${kwh(sums.reactor)}; ` +
      `${kwh(sums.unserved)} unserved. Lowest price that was served: ${price(lowest)}/kWh.`;
  }

  private paint(colours: Colours, slices: Slice[], supply: number, width: number, height: number): void {
    const density = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(height * density);
    const pen = this.canvas.getContext('2d')!;
    pen.scale(density, density);
    pen.font = '11px system-ui, sans-serif';
    const wanted = slices.reduce((sum, each) => sum + each.wh, 0);
    const most = Math.max(wanted, Math.min(supply, wanted * 1.6), 1) * 1.04;
    const dearest = Math.max(1, ...slices.map((each) => each.ueur / 1e6)) * 1.06;
    const x = (wh: number): number => LEFT + (wh / most) * (width - LEFT - 12);
    const y = (eur: number): number => height - BOTTOM - (eur / dearest) * (height - BOTTOM - TOP);

    pen.strokeStyle = colours.grid;
    pen.fillStyle = colours.muted;
    pen.lineWidth = 1;
    pen.textAlign = 'right';
    pen.textBaseline = 'middle';
    const raster = dearest > 3 ? Math.ceil(dearest / 5) : 0.25;
    for (let eur = 0; eur <= dearest; eur += raster) {
      pen.beginPath();
      pen.moveTo(LEFT, y(eur));
      pen.lineTo(width - 12, y(eur));
      pen.stroke();
      pen.fillText(eur.toFixed(2), LEFT - 6, y(eur));
    }
    pen.textBaseline = 'alphabetic';
    pen.textAlign = 'center';
    const stride = nice(most / (width < 480 ? 4 : 8));
    for (let wh = 0; wh <= most; wh += stride) pen.fillText(plain(wh / 1000), x(wh), height - 8);
    pen.textAlign = 'right';
    pen.fillText('kWh', width - 12, height - 8 - 12);
    pen.textAlign = 'left';
    pen.fillText('€/kWh', 4, 10);

    const tone = { wind: colours.wind, imported: colours.imported, reactor: colours.reactor } as const;
    let at = 0;
    for (const slice of slices) {
      const [left, right, upper] = [x(at), x(at + slice.wh), y(slice.ueur / 1e6)];
      at += slice.wh;
      if (slice.by === 'unserved') continue;
      pen.fillStyle = tone[slice.by];
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
    const reactor = this.site.facts ? this.site.facts.reactorUeur / 1e6 : Infinity;
    if (reactor < dearest) {
      pen.strokeStyle = colours.reactor;
      pen.beginPath();
      pen.moveTo(LEFT, y(reactor));
      pen.lineTo(width - 12, y(reactor));
      pen.stroke();
    }
    if (supply > 0) {
      pen.strokeStyle = pen.fillStyle = colours.wind;
      const edge = Math.min(x(supply), width - 12);
      pen.beginPath();
      pen.moveTo(edge, TOP);
      pen.lineTo(edge, height - BOTTOM);
      pen.stroke();
      const beyond = x(supply) > width - 12 ? ' →' : '';
      const right = edge < width / 2;
      pen.textAlign = right ? 'left' : 'right';
      pen.fillText(`wind's supply ${kwh(supply)}${beyond}`, edge + (right ? 5 : -5), TOP + 9);
    }
    pen.setLineDash([]);
  }
}

function nice(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const digit = rough / power;
  return (digit > 5 ? 10 : digit > 2 ? 5 : digit > 1 ? 2 : 1) * power;
}
