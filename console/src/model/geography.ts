// The cells of a site, and distances.

import type { Facts } from './messages';

const MAX_CELLS = 2_000;

export interface CellArea {
  name: string;
  south: number;
  north: number;
  west: number;
  east: number;
}

/** The cells of a site, named as `gridfleet.devices.runtime.fleet.cells_of` names them; none for an empty area. */
export function cellsOf({ south, north, west, east, rows, columns }: Facts, site: string): CellArea[] {
  if (south >= north || west >= east) return [];
  if (rows * columns === 1) return [{ name: site, south, north, west, east }];
  const [height, width] = [(north - south) / rows, (east - west) / columns];
  const cells: CellArea[] = [];
  for (let row = 0; row < rows && cells.length < MAX_CELLS; row++) {
    for (let column = 0; column < columns; column++) {
      const [lower, left] = [south + row * height, west + column * width];
      cells.push({ name: `cell-${row + 1}-${column + 1}`, south: lower, north: lower + height, west: left, east: left + width });
    }
  }
  return cells;
}

/** Great-circle distance in km. */
export function distanceKm(lat1: number, lon1: number, lat2: number, lon2: number): number {
  const rad = Math.PI / 180;
  const a =
    Math.sin(((lat2 - lat1) * rad) / 2) ** 2 +
    Math.cos(lat1 * rad) * Math.cos(lat2 * rad) * Math.sin(((lon2 - lon1) * rad) / 2) ** 2;
  return 12_742 * Math.asin(Math.sqrt(a));
}
