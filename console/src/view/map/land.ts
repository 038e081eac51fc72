// The land below the devices: the outline of Germany, the cells, and the names of cities.

import germany from '../../../../dashboards/plots/data/germany.json';
import type { CellArea } from '../../model/geography';
import { PLACES } from '../../model/places';
import type { Colours } from '../palette';
import { labelFont } from '../text-size';
import type { Pen } from './symbols';
import type { Viewport } from './viewport';

const RINGS = germany.rings as unknown as [number, number][][];

export function drawLand(pen: Pen, viewport: Viewport, cells: readonly CellArea[], colours: Colours): void {
  const project = viewport.projection();
  pen.clearRect(0, 0, viewport.width, viewport.height);
  pen.beginPath();
  for (const ring of RINGS) {
    ring.forEach(([longitude, latitude], index) => {
      const [x, y] = project(latitude, longitude);
      if (index) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    });
    pen.closePath();
  }
  pen.fillStyle = colours.land;
  pen.fill();
  pen.lineJoin = 'round';
  pen.lineWidth = 1;
  pen.strokeStyle = colours.curtailed;
  pen.stroke();
  pen.setLineDash([2, 5]);
  pen.strokeStyle = colours.curtailed;
  pen.fillStyle = colours.muted;
  pen.font = labelFont();
  for (const cell of cells.length > 1 ? cells : []) {
    const [left, upper] = project(cell.north, cell.west);
    const [right, lower] = project(cell.south, cell.east);
    pen.strokeRect(left, upper, right - left, lower - upper);
    if (right - left > 60) pen.fillText(cell.name, left + 5, upper + 14);
  }
  pen.setLineDash([]);
  drawPlaces(pen, viewport, colours);
}

/** Name the largest cities that have room; more of them where the map is zoomed in. */
function drawPlaces(pen: Pen, viewport: Viewport, colours: Colours): void {
  const project = viewport.projection();
  const taken: [number, number, number][] = [];
  pen.font = labelFont();
  pen.textAlign = 'left';
  pen.lineWidth = 3;
  pen.strokeStyle = colours.land;
  pen.fillStyle = colours.muted;
  for (const { name, latitude, longitude } of PLACES) {
    const [x, y] = project(latitude, longitude);
    const width = pen.measureText(name).width + 8;
    if (x < 4 || y < 12 || x + width > viewport.width || y > viewport.height - 4) continue;
    const gap = viewport.width < 500 ? 46 : 34;
    if (taken.some(([left, wide, at]) => Math.abs(at - y) < gap && x < left + wide + 20 && left < x + width + 20)) continue;
    taken.push([x, width, y]);
    pen.beginPath();
    pen.arc(x, y, 1.6, 0, 7);
    pen.fill();
    pen.strokeText(name, x + 5, y + 4);
    pen.fillText(name, x + 5, y + 4);
  }
}
