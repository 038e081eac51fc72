// The map: the land on one canvas, the devices on another above it, drawn again in every frame from small
// cached images, so that a thousand devices move smoothly.

import type { Device, DeviceRole } from '../../model/devices';
import type { Site } from '../../model/site';
import type { Colours } from '../palette';
import { rem } from '../text-size';
import { CLUSTERED_DEVICES, CLUSTERED_ZOOM, clustersOf, drawCluster, radiusOf, type Cluster } from './clusters';
import { drawDevice, hash } from './device';
import { drawFlows, drawRoutes, type Spot } from './flows';
import { drawLand } from './land';
import { Symbols, type Pen } from './symbols';
import { boundsAround, Viewport, type Place } from './viewport';

const MIN_GLIDE_MS = 400;
const CLICK_RADIUS_PX = 18;
/** With more devices than this, the map shows only the area that they are in. */
const MANY_DEVICES = 400;
/** Later ones are drawn over earlier ones. */
const DRAWN: readonly DeviceRole[] = ['consumer', 'grid-supply', 'producer', 'storage', 'charger', 'vehicle'];

export class MapView {
  selected: string | null = null;
  hovered: string | null = null;
  readonly hidden = new Set<DeviceRole>();
  private readonly land: HTMLCanvasElement;
  private readonly top: HTMLCanvasElement;
  private spots: Spot[] = [];
  /** The devices that have a symbol of their own now. */
  private alone: Spot[] = [];
  private clusters: Cluster[] = [];
  private sorted: Device[] = [];
  private sortedFor = '';
  private symbols: Symbols;
  private movedMs = 0;
  private drawnMs = 0;
  private readonly viewport = new Viewport();
  private density = 1;
  private size = 1;
  private fittedFor = '';
  private landDirty = true;
  private frames = 0;

  constructor(
    readonly box: HTMLElement,
    private readonly site: Site,
    private colours: Colours,
    private readonly calm: () => boolean,
  ) {
    this.land = box.querySelector<HTMLCanvasElement>('canvas.land')!;
    this.top = box.querySelector<HTMLCanvasElement>('canvas.devices')!;
    this.symbols = new Symbols(colours, 1, 1);
    site.onReset(() => (this.sortedFor = '')); // other devices, perhaps as many as before
    new ResizeObserver(() => this.resize()).observe(box);
    this.resize();
  }

  recolour(colours: Colours): void {
    this.colours = colours;
    this.redraw();
  }

  private redraw(): void {
    this.symbols = new Symbols(this.colours, this.size, this.density);
    this.landDirty = true;
  }

  /** Zoom about the middle, or about the selected device; 0 shows everything again. */
  zoomBy(factor: number): void {
    const device = this.selected ? this.site.devices.get(this.selected) : undefined;
    this.viewport.zoomBy(factor, device ? [device.latitude, device.longitude] : null);
    this.landDirty = true;
    this.fit();
  }

  pan(dx: number, dy: number): void {
    this.viewport.pan(dx, dy);
    this.landDirty = true;
  }

  get isZoomed(): boolean {
    return this.viewport.isZoomed;
  }

  /** The cluster at a point of the screen, if any. */
  clusterAt(x: number, y: number): Cluster | null {
    return this.clusters.find((each) => Math.hypot(each.x - x, each.y - y) <= radiusOf(each) + 2) ?? null;
  }

  /** Zoom in on a point of the screen. */
  zoomTo(x: number, y: number): void {
    this.viewport.zoomBy(2.2, this.viewport.placeAt(x, y));
    this.landDirty = true;
    this.fit();
  }

  at(x: number, y: number): Device | null {
    let best: Device | null = null;
    let nearest = CLICK_RADIUS_PX ** 2;
    for (const spot of this.alone) {
      const distance = (spot.x - x) ** 2 + (spot.y - y) ** 2;
      if (distance < nearest) [best, nearest] = [spot.device, distance];
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
    if (!from) return this.at(this.viewport.width / 2, this.viewport.height / 2) ?? this.spots[0]?.device ?? null;
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

  /** Draw the symbol of a role into a small canvas, for the legend. */
  icon(canvas: HTMLCanvasElement, role: DeviceRole, colour: string): void {
    canvas.width = canvas.height = 40;
    const pen = canvas.getContext('2d')!;
    pen.translate(20, 20);
    pen.scale(1.4, 1.4);
    pen.lineCap = pen.lineJoin = 'round';
    pen.fillStyle = pen.strokeStyle = colour;
    const symbols = this.symbols;
    switch (role) {
      case 'producer':
        pen.scale(0.72, 0.72);
        return symbols.producer(pen, 0, 2, false);
      case 'consumer':
        return symbols.consumer(pen, false, false);
      case 'storage':
        return symbols.storage(pen, 0.6, 0, false);
      case 'charger':
        return symbols.charger(pen, 0.7, 0, 0, 'free', false);
      case 'vehicle':
        return symbols.vehicle(pen, 0.6, 'driving', false);
      case 'grid-supply':
        return symbols.gridSupply(pen, true, false);
    }
  }

  /** Draw everything; animations stop unless `moving`. */
  draw(nowMs: number, moving: boolean): void {
    if (!this.viewport.width) return;
    if (moving && !this.calm()) this.movedMs += Math.min(nowMs - this.drawnMs, 100);
    this.drawnMs = nowMs;
    if (this.frames++ % 30 === 0) this.fit();
    if (this.landDirty) this.drawLand();
    const pen = this.top.getContext('2d')!;
    pen.setTransform(this.density, 0, 0, this.density, 0, 0);
    pen.clearRect(0, 0, this.viewport.width, this.viewport.height);
    pen.imageSmoothingEnabled = false;
    this.place(nowMs);
    const { site, spots, hidden, colours, symbols, size, movedMs } = this;
    const scene = { site, spots, hidden, colours, project: this.viewport.projection() };
    drawFlows(pen, scene, movedMs);
    this.gather();
    drawRoutes(pen, { ...scene, spots: this.alone }); // not of those in discs: nobody could follow a thousand lines
    for (const cluster of this.clusters) drawCluster(pen, cluster, colours, site);
    for (const spot of this.alone) drawDevice(pen, spot, { site, symbols, colours, size, movedMs });
    this.mark(pen, this.hovered, 1.25);
    this.mark(pen, this.selected, 2);
  }

  // --- geometry --------------------------------------------------------------------------------------------

  private resize(): void {
    const { width, height } = this.box.getBoundingClientRect();
    if (!width || !height) return;
    this.viewport.width = Math.round(width);
    this.viewport.height = Math.round(height);
    this.density = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.land, this.top]) {
      canvas.width = Math.round(this.viewport.width * this.density);
      canvas.height = Math.round(this.viewport.height * this.density);
    }
    this.redraw();
  }

  /** Fit the viewport to all cells and devices; vehicles, which move, do not count. */
  private fit(): void {
    const { cells, devices } = this.site;
    const places: Place[] = cells.flatMap((cell): Place[] => [[cell.south, cell.west], [cell.north, cell.east]]);
    for (const device of devices.all.values()) {
      if (device.role !== 'vehicle') places.push([device.latitude, device.longitude]);
    }
    if (!places.length) return;
    const bounds = boundsAround(places, devices.all.size >= MANY_DEVICES);
    const shrink = Math.max(0.52, Math.min(1.15, Math.sqrt(110 / Math.max(devices.all.size, 1))));
    const size = (rem() / 16) * Math.min(Math.max(shrink, 1), shrink * Math.sqrt(this.viewport.zoom));
    const key = [...Object.values(bounds), size.toFixed(2), cells.length].join();
    if (key === this.fittedFor) return;
    this.fittedFor = key;
    this.viewport.bounds = bounds;
    this.size = size;
    this.redraw();
  }

  private place(nowMs: number): void {
    const project = this.viewport.projection();
    const glide = Math.max(MIN_GLIDE_MS, Math.min(Number.isFinite(this.site.run.paceMs) ? this.site.run.paceMs : MIN_GLIDE_MS, 20_000));
    this.spots = [];
    for (const device of this.inOrder()) {
      let { latitude, longitude } = device;
      const share = (nowMs - device.movedAt) / glide;
      if (share < 1 && !this.calm()) {
        latitude = device.before[0] + (latitude - device.before[0]) * share;
        longitude = device.before[1] + (longitude - device.before[1]) * share;
      }
      let [x, y] = project(latitude, longitude);
      if (device.state?.status === 'charging' && device.role === 'vehicle') {
        const angle = hash(device.id); // beside the charger, not on top of it
        x += 15 * this.size * Math.cos(angle);
        y -= 15 * this.size * Math.abs(Math.sin(angle));
      }
      if (x < -20 || y < -20 || x > this.viewport.width + 20 || y > this.viewport.height + 20) continue;
      this.spots.push({ device, x, y });
    }
  }

  /** Gather devices that lie on top of each other, where there are many and the map is not zoomed in far. */
  private gather(): void {
    const { spots, viewport, site } = this;
    if (site.devices.all.size < CLUSTERED_DEVICES || viewport.zoom >= CLUSTERED_ZOOM) {
      [this.alone, this.clusters] = [spots, []];
      return;
    }
    const { south, west } = viewport.bounds;
    const keep = new Set([this.selected, this.hovered].filter((each) => each !== null));
    ({ alone: this.alone, clusters: this.clusters } = clustersOf(spots, viewport.projection()(south, west), keep));
  }

  /** The devices to show, those on top last; sorted again only when others are to be shown. */
  private inOrder(): readonly Device[] {
    const key = `${this.site.devices.all.size} ${[...this.hidden].join()}`;
    if (key !== this.sortedFor) {
      this.sortedFor = key;
      this.sorted = [...this.site.devices.all.values()].filter((each) => !this.hidden.has(each.role));
      this.sorted.sort((a, b) => DRAWN.indexOf(a.role) - DRAWN.indexOf(b.role) || (a.id < b.id ? -1 : 1));
    }
    return this.sorted;
  }

  // --- drawing ---------------------------------------------------------------------------------------------

  private drawLand(): void {
    this.landDirty = false;
    const pen = this.land.getContext('2d')!;
    pen.setTransform(this.density, 0, 0, this.density, 0, 0);
    drawLand(pen, this.viewport, this.site.cells, this.colours);
  }

  private mark(pen: Pen, id: string | null, width: number): void {
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
