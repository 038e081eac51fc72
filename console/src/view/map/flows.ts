// Lines between devices: energy sold between cells and by the grid supply, and the vehicles' routes.

import type { Device, DeviceRole } from '../../model/devices';
import type { Site } from '../../model/site';
import { ROLE_COLOUR, type Colours } from '../palette';
import type { Pen } from './symbols';

export interface Spot {
  device: Device;
  x: number;
  y: number;
}
/** The site, the devices' positions and colours, for drawing. */
export interface Scene {
  site: Site;
  spots: readonly Spot[];
  hidden: ReadonlySet<DeviceRole>;
  colours: Colours;
  project: (latitude: number, longitude: number) => [number, number];
}

/** The centre of each cell: of its area where that is known, else of its devices that do not move. */
function middles(site: Site): Map<string, [number, number]> {
  const found = new Map<string, [number, number]>();
  for (const cell of site.cells) found.set(cell.name, [(cell.south + cell.north) / 2, (cell.west + cell.east) / 2]);
  if (found.size) return found;
  const sums = new Map<string, [number, number, number]>();
  for (const device of site.devices.all.values()) {
    if (device.role === 'vehicle' || device.role === 'grid-supply') continue;
    const sum = sums.get(device.cell) ?? [0, 0, 0];
    sums.set(device.cell, [sum[0] + device.latitude, sum[1] + device.longitude, sum[2] + 1]);
  }
  for (const [name, [latitude, longitude, count]] of sums) found.set(name, [latitude / count, longitude / count]);
  return found;
}

/** Draw the energy that grid supplies sold to buyers, and the energy between cells as arrows that move with time. */
export function drawFlows(pen: Pen, { site, spots, hidden, colours, project }: Scene, movedMs: number): void {
  const { running, last } = site.history;
  const totals = running && (running.gridSupplyTo.size || running.flows.size) ? running : last;
  if (!totals) return;
  const drift = -((movedMs / 60) % 14);
  pen.lineCap = 'round';
  if (totals.gridSupplyTo.size && !hidden.has('grid-supply')) {
    const supplies = spots.filter((each) => each.device.role === 'grid-supply');
    const target = new Map<string, { x: number; y: number; wh: number }>();
    const many = totals.gridSupplyTo.size > 40;
    const centres = many ? middles(site) : null;
    for (const [id, wh] of totals.gridSupplyTo) {
      const device = site.devices.get(id);
      if (!device) continue;
      const key = centres ? device.cell : id;
      const [latitude, longitude] = centres?.get(device.cell) ?? [device.latitude, device.longitude];
      const [x, y] = project(latitude, longitude);
      const sum = target.get(key)?.wh ?? 0;
      target.set(key, { x, y, wh: sum + wh });
    }
    pen.strokeStyle = colours[ROLE_COLOUR['grid-supply']];
    pen.setLineDash([1, 6]);
    pen.lineDashOffset = drift;
    for (const { x, y, wh } of target.values()) {
      const from = supplies.reduce<Spot | null>((best, each) => {
        const distance = (spot: Spot): number => (spot.x - x) ** 2 + (spot.y - y) ** 2;
        return !best || distance(each) < distance(best) ? each : best;
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
  if (totals.flows.size) {
    const centres = middles(site);
    pen.strokeStyle = pen.fillStyle = colours.imported;
    pen.setLineDash([7, 7]);
    pen.lineDashOffset = drift;
    pen.globalAlpha = 0.9;
    for (const [way, wh] of totals.flows) {
      const [from = '', to = ''] = way.split('>');
      const [start, end] = [centres.get(from), centres.get(to)];
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

/** Draw a line from each moving vehicle to its destination: solid to a reserved charger, dotted otherwise. */
export function drawRoutes(pen: Pen, { site, spots, hidden, colours, project }: Scene): void {
  if (hidden.has('vehicle')) return;
  pen.strokeStyle = colours[ROLE_COLOUR.vehicle];
  for (const reserved of [false, true]) {
    pen.beginPath();
    for (const { device, x, y } of spots) {
      const state = device.state;
      if (state?.role !== 'vehicle' || site.isOutdated(device)) continue;
      if ((state.charger !== null) !== reserved) continue;
      const charger = state.charger ? site.devices.get(state.charger) : undefined;
      const aim = charger ? ([charger.latitude, charger.longitude] as const) : state.next_stop;
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

