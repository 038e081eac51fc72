// The map: a still picture of the land below, the devices above it, drawn anew in every frame from small
// ready-made pictures, so that a thousand devices move smoothly.

import germany from '../../dashboards/data/germany.json';
import { fill, type Device, type Site } from './model';
import { KIND_TONE, type Colours } from './palette';
import type { Kind } from './wire';

export interface CellArea {
  name: string;
  south: number;
  north: number;
  west: number;
  east: number;
}
interface Spot {
  device: Device;
  x: number;
  y: number;
}
type Draw = (pen: CanvasRenderingContext2D) => void;

const RINGS = germany.rings as unknown as [number, number][][];
const ROTOR_STEPS = 30;
const HOLD_MS = 400;
const GRASP_PX = 18;
const RANK: Record<Kind, number> = { consumer: 0, reactor: 1, turbine: 2, charger: 3, vehicle: 4 };

export class MapView {
  selected: string | null = null;
  hovered: string | null = null;
  readonly hidden = new Set<Kind>();
  private readonly land: HTMLCanvasElement;
  private readonly top: HTMLCanvasElement;
  private spots: Spot[] = [];
  private sprites = new Map<string, ImageBitmap>();
  private width = 0;
  private height = 0;
  private density = 1;
  private size = 1;
  private bounds = { south: 47.2, north: 55.1, west: 5.8, east: 15.1 };
  private known = '';
  private zoom = 1;
  private centre: [number, number] | null = null;
  private landDirty = true;
  private frames = 0;

  constructor(
    readonly box: HTMLElement,
    private readonly site: Site,
    private readonly cells: readonly CellArea[],
    private colours: Colours,
    private readonly calm: () => boolean,
  ) {
    this.land = box.querySelector<HTMLCanvasElement>('canvas.land')!;
    this.top = box.querySelector<HTMLCanvasElement>('canvas.devices')!;
    new ResizeObserver(() => this.resize()).observe(box);
    this.resize();
  }

  recolour(colours: Colours): void {
    this.colours = colours;
    this.sprites.clear();
    this.landDirty = true;
  }

  /** Zoom about the middle, or about the selected device; 0 shows everything again. */
  zoomBy(factor: number): void {
    const device = this.selected ? this.site.devices.get(this.selected) : undefined;
    this.zoom = factor === 0 ? 1 : Math.max(1, Math.min(24, this.zoom * factor));
    if (this.zoom === 1) this.centre = null;
    else if (device) this.centre = [device.latitude, device.longitude];
    this.landDirty = true;
    this.fit();
  }

  pan(dx: number, dy: number): void {
    if (this.zoom === 1) return;
    const [latitude, longitude] = this.middle();
    const scale = this.scale();
    this.centre = [latitude + dy / scale, longitude - dx / (scale * this.squeeze())];
    this.landDirty = true;
  }

  get zoomed(): boolean {
    return this.zoom > 1;
  }

  at(x: number, y: number): Device | null {
    let best: Device | null = null;
    let nearest = GRASP_PX ** 2;
    for (const spot of this.spots) {
      const away = (spot.x - x) ** 2 + (spot.y - y) ** 2;
      if (away < nearest) [best, nearest] = [spot.device, away];
    }
    return best;
  }

  where(id: string): [number, number] | null {
    const spot = this.spots.find((each) => each.device.id === id);
    return spot ? [spot.x, spot.y] : null;
  }

  /** The nearest device in a direction from the selected one, for the arrow keys. */
  neighbour(dx: number, dy: number): Device | null {
    const from = this.selected ? this.where(this.selected) : null;
    if (!from) return this.at(this.width / 2, this.height / 2) ?? this.spots[0]?.device ?? null;
    let best: Device | null = null;
    let least = Infinity;
    for (const { device, x, y } of this.spots) {
      const along = (x - from[0]) * dx + (y - from[1]) * dy;
      const aside = Math.abs((x - from[0]) * dy - (y - from[1]) * dx);
      if (device.id === this.selected || along <= 0.5) continue;
      const cost = along + 2.5 * aside;
      if (cost < least) [best, least] = [device, cost];
    }
    return best;
  }

  /** Draw the sign of a kind into a small canvas, for the legend. */
  icon(canvas: HTMLCanvasElement, kind: Kind, colour: string): void {
    canvas.width = canvas.height = 40;
    const pen = canvas.getContext('2d')!;
    pen.translate(20, 20);
    pen.scale(1.4, 1.4);
    pen.lineCap = pen.lineJoin = 'round';
    pen.fillStyle = pen.strokeStyle = colour;
    if (kind === 'turbine') {
      pen.scale(0.72, 0.72);
      this.turbine(pen, 0, 2, false);
    }
    else if (kind === 'charger') this.charger(pen, 0.7, 0, 0, false, false);
    else if (kind === 'vehicle') this.vehicle(pen, 0.6, 'driving', false);
    else if (kind === 'reactor') this.reactor(pen, true, false);
    else this.consumer(pen, false, false);
  }

  draw(nowMs: number): void {
    if (!this.width) return;
    if (this.frames++ % 30 === 0) this.fit();
    if (this.landDirty) this.drawLand();
    const pen = this.top.getContext('2d')!;
    pen.setTransform(this.density, 0, 0, this.density, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.imageSmoothingEnabled = false;
    this.place(nowMs);
    this.drawFlows(pen, nowMs);
    this.drawWays(pen);
    for (const spot of this.spots) this.drawDevice(pen, spot, nowMs);
    this.mark(pen, this.hovered, 1.25);
    this.mark(pen, this.selected, 2);
  }

  // --- geometry --------------------------------------------------------------------------------------------

  private resize(): void {
    const { width, height } = this.box.getBoundingClientRect();
    if (!width || !height) return;
    this.width = Math.round(width);
    this.height = Math.round(height);
    this.density = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.land, this.top]) {
      canvas.width = Math.round(this.width * this.density);
      canvas.height = Math.round(this.height * this.density);
    }
    this.sprites.clear();
    this.landDirty = true;
  }

  /** Show all cells, or where these are not known all devices, and of the land what lies around. */
  private fit(): void {
    const places: (readonly [number, number])[] = this.cells.flatMap((cell) => [
      [cell.south, cell.west] as const,
      [cell.north, cell.east] as const,
    ]);
    for (const device of this.site.devices.values()) {
      if (device.kind !== 'vehicle') places.push([device.latitude, device.longitude]);
    }
    if (!places.length) return;
    let [south, north, west, east] = [90, -90, 180, -180];
    for (const [latitude, longitude] of places) {
      south = Math.min(south, latitude);
      north = Math.max(north, latitude);
      west = Math.min(west, longitude);
      east = Math.max(east, longitude);
    }
    const inGermany = west > 5.5 && east < 15.5 && south > 47 && north < 55.3;
    if (inGermany && (north - south > 3 || east - west > 3) && this.site.devices.size < 400) {
      [south, north, west, east] = [47.27, 55.06, 5.87, 15.04];
    } else {
      const [dy, dx] = [Math.max(north - south, 0.02) * 0.08, Math.max(east - west, 0.02) * 0.08];
      [south, north, west, east] = [south - dy, north + dy, west - dx, east + dx];
    }
    const crowd = Math.max(0.52, Math.min(1.15, Math.sqrt(110 / Math.max(this.site.devices.size, 1))));
    const size = Math.min(Math.max(crowd, 1), crowd * Math.sqrt(this.zoom));
    const known = [south, north, west, east, size.toFixed(2)].join();
    if (known === this.known) return;
    this.known = known;
    this.bounds = { south, north, west, east };
    if (Math.abs(size - this.size) > 0.02) this.sprites.clear();
    this.size = size;
    this.landDirty = true;
  }

  private middle(): [number, number] {
    const { south, north, west, east } = this.bounds;
    return this.centre ?? [(south + north) / 2, (west + east) / 2];
  }

  private squeeze(): number {
    const { south, north } = this.bounds;
    return Math.cos((((south + north) / 2) * Math.PI) / 180);
  }

  private scale(): number {
    const { south, north, west, east } = this.bounds;
    const pad = this.width < 500 ? 16 : 28;
    const wide = (this.width - 2 * pad) / ((east - west) * this.squeeze());
    return this.zoom * Math.min(wide, (this.height - 2 * pad) / (north - south));
  }

  private projection(): (latitude: number, longitude: number) => [number, number] {
    const [latitude0, longitude0] = this.middle();
    const scale = this.scale();
    const across = scale * this.squeeze();
    const [x0, y0] = [this.width / 2, this.height / 2];
    return (latitude, longitude) => [x0 + (longitude - longitude0) * across, y0 - (latitude - latitude0) * scale];
  }

  private place(nowMs: number): void {
    const project = this.projection();
    const glide = Math.max(HOLD_MS, Math.min(Number.isFinite(this.site.paceMs) ? this.site.paceMs : HOLD_MS, 20_000));
    this.spots = [];
    for (const device of this.site.devices.values()) {
      if (this.hidden.has(device.kind)) continue;
      let { latitude, longitude } = device;
      const gone = (nowMs - device.movedAt) / glide;
      if (gone < 1 && !this.calm()) {
        latitude = device.before[0] + (latitude - device.before[0]) * gone;
        longitude = device.before[1] + (longitude - device.before[1]) * gone;
      }
      let [x, y] = project(latitude, longitude);
      if (device.state?.status === 'charging' && device.kind === 'vehicle') {
        const angle = hash(device.id); // beside the charger, not on top of it
        x += 15 * this.size * Math.cos(angle);
        y -= 15 * this.size * Math.abs(Math.sin(angle));
      }
      if (x < -20 || y < -20 || x > this.width + 20 || y > this.height + 20) continue;
      this.spots.push({ device, x, y });
    }
    this.spots.sort((a, b) => RANK[a.device.kind] - RANK[b.device.kind] || (a.device.id < b.device.id ? -1 : 1));
  }

  // --- drawing ---------------------------------------------------------------------------------------------

  private drawLand(): void {
    this.landDirty = false;
    const pen = this.land.getContext('2d')!;
    const project = this.projection();
    pen.setTransform(this.density, 0, 0, this.density, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.beginPath();
    for (const ring of RINGS) {
      ring.forEach(([longitude, latitude], index) => {
        const [x, y] = project(latitude, longitude);
        if (index) pen.lineTo(x, y);
        else pen.moveTo(x, y);
      });
      pen.closePath();
    }
    pen.fillStyle = this.colours.land;
    pen.fill();
    pen.lineJoin = 'round';
    pen.lineWidth = 1;
    pen.strokeStyle = this.colours.curtailed;
    pen.stroke();
    pen.setLineDash([2, 5]);
    pen.strokeStyle = this.colours.curtailed;
    pen.fillStyle = this.colours.muted;
    pen.font = '11px system-ui, sans-serif';
    for (const cell of this.cells.length > 1 ? this.cells : []) {
      const [left, upper] = project(cell.north, cell.west);
      const [right, lower] = project(cell.south, cell.east);
      pen.strokeRect(left, upper, right - left, lower - upper);
      if (right - left > 60) pen.fillText(cell.name, left + 5, upper + 14);
    }
    pen.setLineDash([]);
  }

  /** Middle of each cell: of its area where that is known, else of the devices that stay where they are. */
  private middles(): Map<string, [number, number]> {
    const found = new Map<string, [number, number]>();
    for (const cell of this.cells) found.set(cell.name, [(cell.south + cell.north) / 2, (cell.west + cell.east) / 2]);
    if (found.size) return found;
    const sums = new Map<string, [number, number, number]>();
    for (const device of this.site.devices.values()) {
      if (device.kind === 'vehicle' || device.kind === 'reactor') continue;
      const sum = sums.get(device.cell) ?? [0, 0, 0];
      sums.set(device.cell, [sum[0] + device.latitude, sum[1] + device.longitude, sum[2] + 1]);
    }
    for (const [name, [latitude, longitude, count]] of sums) found.set(name, [latitude / count, longitude / count]);
    return found;
  }

  /** What the reactors sold, to whom; and what cells sold to each other, as arrows. */
  private drawFlows(pen: CanvasRenderingContext2D, nowMs: number): void {
    const now = this.site.tick ? this.site.buckets.get(this.site.tick.tick) : undefined;
    const bucket = now && (now.reactorTo.size || now.flows.size) ? now : this.site.last;
    if (!bucket) return;
    const project = this.projection();
    const drift = this.calm() ? 0 : -((nowMs / 60) % 14);
    pen.lineCap = 'round';
    if (bucket.reactorTo.size && !this.hidden.has('reactor')) {
      const reactors = this.spots.filter((each) => each.device.kind === 'reactor');
      const target = new Map<string, { x: number; y: number; wh: number }>();
      const crowd = bucket.reactorTo.size > 40;
      const middles = crowd ? this.middles() : null;
      for (const [id, wh] of bucket.reactorTo) {
        const device = this.site.devices.get(id);
        if (!device) continue;
        const key = middles ? device.cell : id;
        const [latitude, longitude] = middles?.get(device.cell) ?? [device.latitude, device.longitude];
        const [x, y] = project(latitude, longitude);
        const sum = target.get(key)?.wh ?? 0;
        target.set(key, { x, y, wh: sum + wh });
      }
      pen.strokeStyle = this.colours.reactor;
      pen.setLineDash([1, 6]);
      pen.lineDashOffset = drift;
      for (const { x, y, wh } of target.values()) {
        const from = reactors.reduce<Spot | null>((best, each) => {
          const away = (spot: Spot): number => (spot.x - x) ** 2 + (spot.y - y) ** 2;
          return !best || away(each) < away(best) ? each : best;
        }, null);
        if (!from) continue;
        pen.globalAlpha = 0.55;
        pen.lineWidth = Math.min(5, 1 + Math.sqrt(wh / 1000) / 4);
        pen.beginPath();
        pen.moveTo(from.x, from.y);
        pen.lineTo(x, y);
        pen.stroke();
      }
    }
    if (bucket.flows.size) {
      const middles = this.middles();
      pen.strokeStyle = pen.fillStyle = this.colours.imported;
      pen.setLineDash([7, 7]);
      pen.lineDashOffset = drift;
      pen.globalAlpha = 0.9;
      for (const [way, wh] of bucket.flows) {
        const [from = '', to = ''] = way.split('>');
        const [start, end] = [middles.get(from), middles.get(to)];
        if (!start || !end) continue;
        const [x1, y1] = project(...start);
        const [x2, y2] = project(...end);
        const [dx, dy] = [x2 - x1, y2 - y1];
        const length = Math.hypot(dx, dy) || 1;
        const [ux, uy] = [dx / length, dy / length];
        const side = 5; // the two directions run side by side
        const [ax, ay] = [x1 + ux * length * 0.18 - uy * side, y1 + uy * length * 0.18 + ux * side];
        const [bx, by] = [x1 + ux * length * 0.82 - uy * side, y1 + uy * length * 0.82 + ux * side];
        pen.lineWidth = Math.min(7, 1.5 + Math.sqrt(wh / 1000) / 4);
        pen.beginPath();
        pen.moveTo(ax, ay);
        pen.lineTo(bx, by);
        pen.stroke();
        const head = 5 + pen.lineWidth;
        pen.beginPath();
        pen.moveTo(bx + ux * head, by + uy * head);
        pen.lineTo(bx - uy * head * 0.6, by + ux * head * 0.6);
        pen.lineTo(bx + uy * head * 0.6, by - ux * head * 0.6);
        pen.fill();
      }
    }
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  /** From each vehicle on the road to where it goes: firm to the charger it has reserved, faint otherwise. */
  private drawWays(pen: CanvasRenderingContext2D): void {
    if (this.hidden.has('vehicle')) return;
    const project = this.projection();
    pen.strokeStyle = this.colours.vehicle;
    for (const reserved of [false, true]) {
      pen.beginPath();
      for (const { device, x, y } of this.spots) {
        const state = device.state;
        if (!state || device.kind !== 'vehicle' || this.site.old(device)) continue;
        if ((state.charger !== null) !== reserved) continue;
        const charger = state.charger ? this.site.devices.get(state.charger) : undefined;
        const aim = charger ? ([charger.latitude, charger.longitude] as const) : state.nextStop;
        if (!aim) continue;
        pen.moveTo(x, y);
        pen.lineTo(...project(...aim));
      }
      pen.setLineDash(reserved ? [] : [2, 4]);
      pen.lineWidth = reserved ? 1.25 : 1;
      pen.globalAlpha = reserved ? 0.75 : 0.4;
      pen.stroke();
    }
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  private drawDevice(pen: CanvasRenderingContext2D, { device, x, y }: Spot, nowMs: number): void {
    const old = this.site.old(device);
    const state = device.state;
    if (old) pen.globalAlpha = device.online ? 0.45 : 0.6;
    if (device.kind === 'turbine') {
      const share = state && !old ? Math.max(0, state.powerW) / this.site.maxPowerW : 0;
      const speed = share > 0 ? 0.5 + 3.5 * Math.sqrt(share) : 0;
      const turned = this.calm() ? 0.2 : (nowMs / 1000) * speed + hash(device.id);
      const step = Math.floor((((turned / ((2 * Math.PI) / 3)) % 1) + 1) * ROTOR_STEPS) % ROTOR_STEPS;
      const strength = old || !state ? 0 : share > 0 ? 1 + Math.round(share * 2) : 0;
      this.stamp(pen, `t${step} ${strength} ${old}`, 19, x, y, (each) => this.turbine(each, step, strength, old));
    } else if (device.kind === 'charger') {
      const level = Number.isNaN(fill(state)) ? 0 : Math.round(fill(state) * 24);
      const ports = Math.min(state?.figures['ports'] ?? 0, 8);
      const free = Math.max(0, ports - (state?.figures['ports_reserved'] ?? 0));
      const busy = state?.status === 'charging' && !old;
      const key = `c${level} ${ports} ${free} ${busy} ${old}`;
      this.stamp(pen, key, 14, x, y, (each) => this.charger(each, level / 24, ports, free, busy, old));
    } else if (device.kind === 'vehicle') {
      const level = Number.isNaN(fill(state)) ? 0 : Math.round(fill(state) * 12);
      const status = state?.status ?? '';
      this.stamp(pen, `v${level} ${status} ${old}`, 9, x, y, (each) => this.vehicle(each, level / 12, status, old));
    } else if (device.kind === 'reactor') {
      const busy = (state?.figures['sold_wh'] ?? 0) > 0 && !old;
      if (busy && !this.calm()) {
        pen.globalAlpha = 0.25 + 0.15 * Math.sin(nowMs / 400);
        pen.fillStyle = this.colours.reactor;
        pen.beginPath();
        pen.arc(x, y, 17 * this.size, 0, 7);
        pen.fill();
        pen.globalAlpha = 1;
      }
      this.stamp(pen, `r${busy} ${old}`, 13, x, y, (each) => this.reactor(each, busy, old));
    } else {
      const short = state?.status === 'short';
      this.stamp(pen, `h${short} ${old}`, 10, x, y, (each) => this.consumer(each, short, old));
    }
    pen.globalAlpha = 1;
    if (!device.online) this.stamp(pen, 'off', 9, x, y, (each) => this.cross(each));
  }

  /** Draw a ready-made picture, making it when it is needed for the first time; `reach` is its half width. */
  private stamp(pen: CanvasRenderingContext2D, key: string, reach: number, x: number, y: number, draw: Draw): void {
    const half = Math.ceil(reach * this.size + 2);
    let sprite = this.sprites.get(key);
    if (!sprite) {
      const pixels = Math.ceil(2 * half * this.density);
      const canvas = new OffscreenCanvas(pixels, pixels);
      const inner = canvas.getContext('2d') as unknown as CanvasRenderingContext2D;
      inner.scale(this.density, this.density);
      inner.translate(half, half);
      inner.scale(this.size, this.size);
      inner.lineCap = inner.lineJoin = 'round';
      draw(inner);
      sprite = canvas.transferToImageBitmap();
      this.sprites.set(key, sprite);
    }
    // On whole pixels, a picture is copied and not resampled.
    const snap = (at: number): number => Math.round((at - half) * this.density) / this.density;
    pen.drawImage(sprite, snap(x), snap(y), sprite.width / this.density, sprite.height / this.density);
  }

  private turbine(pen: CanvasRenderingContext2D, step: number, strength: number, old: boolean): void {
    const colour = old ? this.colours.muted : this.colours[KIND_TONE.turbine];
    pen.scale(1.25, 1.25);
    pen.strokeStyle = colour;
    pen.lineWidth = 1.6;
    pen.beginPath();
    pen.moveTo(0, 0);
    pen.lineTo(0, 14);
    pen.stroke();
    pen.fillStyle = colour;
    for (let blade = 0; blade < 3; blade++) {
      pen.save();
      pen.rotate(((blade + step / ROTOR_STEPS) * 2 * Math.PI) / 3);
      pen.globalAlpha = strength ? 1 : 0.55;
      pen.beginPath();
      pen.moveTo(-1.1, -1);
      pen.quadraticCurveTo(-2.4, -5, 0, -13);
      pen.quadraticCurveTo(1.3, -5, 1.1, -1);
      pen.fill();
      pen.restore();
    }
    this.disc(pen, 2.3, this.colours.paper);
    this.disc(pen, 1.6, colour);
  }

  private charger(
    pen: CanvasRenderingContext2D,
    level: number,
    ports: number,
    free: number,
    busy: boolean,
    old: boolean,
  ): void {
    const colour = old ? this.colours.muted : this.colours[KIND_TONE.charger];
    this.disc(pen, 9, this.colours.paper);
    pen.lineWidth = 3;
    pen.strokeStyle = this.colours.grid;
    pen.beginPath();
    pen.arc(0, 0, 7.5, 0, 7);
    pen.stroke();
    if (level > 0) {
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(0, 0, 7.5, -Math.PI / 2, -Math.PI / 2 + level * 2 * Math.PI);
      pen.stroke();
    }
    pen.fillStyle = busy ? this.colours.vehicle : colour;
    pen.beginPath(); // a bolt
    pen.moveTo(1, -4.6);
    pen.lineTo(-2.6, 0.7);
    pen.lineTo(-0.2, 0.7);
    pen.lineTo(-1, 4.6);
    pen.lineTo(2.6, -0.8);
    pen.lineTo(0.2, -0.8);
    pen.closePath();
    pen.fill();
    for (let port = 0; port < (this.size < 0.6 ? 0 : ports); port++) {
      const angle = Math.PI / 2 + (port - (ports - 1) / 2) * 0.42;
      pen.beginPath();
      pen.arc(12 * Math.cos(angle), 12 * Math.sin(angle), 1.5, 0, 7);
      pen.fillStyle = pen.strokeStyle = port < free ? colour : this.colours.vehicle;
      pen.lineWidth = 0.9;
      if (port < free) pen.fill();
      else pen.stroke();
    }
  }

  private vehicle(pen: CanvasRenderingContext2D, level: number, status: string, old: boolean): void {
    const colour = old ? this.colours.muted : this.colours[KIND_TONE.vehicle];
    const parked = status === 'parked' || status === '';
    const reach = parked ? 4 : 5.2;
    this.disc(pen, reach + 1.2, this.colours.paper);
    pen.fillStyle = colour;
    pen.globalAlpha = 0.28;
    pen.beginPath();
    pen.arc(0, 0, reach, 0, 7);
    pen.fill();
    pen.globalAlpha = 1;
    pen.beginPath(); // filled from below, as a vessel
    pen.arc(0, 0, reach, Math.PI / 2 - Math.acos(1 - 2 * level), Math.PI / 2 + Math.acos(1 - 2 * level));
    pen.fill();
    pen.strokeStyle = status === 'stranded' ? this.colours.ink : colour;
    pen.lineWidth = 1.2;
    pen.beginPath();
    pen.arc(0, 0, reach, 0, 7);
    pen.stroke();
    if (status === 'charging') {
      pen.beginPath();
      pen.arc(0, 0, reach + 2.4, 0, 7);
      pen.stroke();
    } else if (status === 'stranded') {
      this.cross(pen);
    }
  }

  private reactor(pen: CanvasRenderingContext2D, busy: boolean, old: boolean): void {
    const colour = old ? this.colours.muted : this.colours[KIND_TONE.reactor];
    pen.beginPath();
    for (let corner = 0; corner < 6; corner++) {
      const angle = (corner * Math.PI) / 3;
      pen.lineTo(11 * Math.cos(angle), 11 * Math.sin(angle));
    }
    pen.closePath();
    pen.fillStyle = busy ? colour : this.colours.paper;
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = colour;
    pen.stroke();
    pen.strokeStyle = busy ? this.colours.paper : colour;
    pen.lineWidth = 1.1;
    for (let ring = 0; ring < 3; ring++) {
      pen.beginPath();
      pen.ellipse(0, 0, 6.4, 2.4, (ring * Math.PI) / 3, 0, 7);
      pen.stroke();
    }
    this.disc(pen, 1.3, busy ? this.colours.paper : colour);
  }

  private consumer(pen: CanvasRenderingContext2D, short: boolean, old: boolean): void {
    const colour = old ? this.colours.muted : this.colours[KIND_TONE.consumer];
    pen.beginPath(); // a house
    pen.moveTo(0, -8);
    pen.lineTo(8, -1);
    pen.lineTo(5.6, -1);
    pen.lineTo(5.6, 7);
    pen.lineTo(-5.6, 7);
    pen.lineTo(-5.6, -1);
    pen.lineTo(-8, -1);
    pen.closePath();
    pen.lineWidth = 1.5;
    pen.fillStyle = short ? this.colours.paper : colour;
    pen.strokeStyle = short ? colour : this.colours.paper;
    pen.fill();
    pen.stroke();
  }

  private cross(pen: CanvasRenderingContext2D): void {
    for (const [width, colour] of [
      [4, this.colours.paper],
      [2, this.colours.ink],
    ] as const) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.moveTo(-5, -5);
      pen.lineTo(5, 5);
      pen.moveTo(5, -5);
      pen.lineTo(-5, 5);
      pen.stroke();
    }
  }

  private disc(pen: CanvasRenderingContext2D, radius: number, colour: string): void {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(0, 0, radius, 0, 7);
    pen.fill();
  }

  private mark(pen: CanvasRenderingContext2D, id: string | null, width: number): void {
    const at = id ? this.where(id) : null;
    if (!at) return;
    for (const [extra, colour] of [
      [2.5, this.colours.paper],
      [0, this.colours.ink],
    ] as const) {
      pen.lineWidth = width + extra;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(at[0], at[1], 17 * this.size, 0, 7);
      pen.stroke();
    }
  }
}

function hash(text: string): number {
  let sum = 0;
  for (let index = 0; index < text.length; index++) sum = (sum * 31 + text.charCodeAt(index)) % 6283;
  return sum / 1000;
}
