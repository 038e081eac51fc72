// Clusters: where many devices lie in the same few pixels, the map shows their number instead of a heap of symbols.

import type { DeviceRole } from '../../model/devices';
import type { Site } from '../../model/site';
import { ROLE_COLOUR, type Colours } from '../palette';
import { labelFont } from '../text-size';
import type { Spot } from './flows';
import type { Pen } from './symbols';

export interface Cluster {
  x: number;
  y: number;
  count: number;
  /** How many devices of each role. */
  roles: Map<DeviceRole, number>;
  offline: number;
}

/** With fewer devices than this, or from this zoom on, every device has its own symbol. */
export const CLUSTERED_DEVICES = 400;
export const CLUSTERED_ZOOM = 8;
/** Devices of a square of this size, in pixels, form a cluster where they are more than so many. */
const SQUARE_PX = 52;
const MOST_ALONE = 3;

/**
 * Divide spots into those drawn one by one and clusters. `origin` is where a fixed place is on the screen: squares
 * keep their places on the ground while the map moves.
 */
export function clustersOf(spots: readonly Spot[], origin: readonly [number, number], keep: ReadonlySet<string>): { alone: Spot[]; clusters: Cluster[] } {
  const squares = new Map<number, Spot[]>();
  const alone: Spot[] = [];
  for (const spot of spots) {
    if (keep.has(spot.device.id)) {
      alone.push(spot);
      continue;
    }
    const key = Math.floor((spot.x - origin[0]) / SQUARE_PX) * 100_000 + Math.floor((spot.y - origin[1]) / SQUARE_PX);
    const square = squares.get(key);
    if (square) square.push(spot);
    else squares.set(key, [spot]);
  }
  const clusters: Cluster[] = [];
  for (const square of squares.values()) {
    if (square.length <= MOST_ALONE) alone.push(...square);
    else clusters.push(clusterOf(square));
  }
  return { alone, clusters };
}

function clusterOf(spots: readonly Spot[]): Cluster {
  const cluster: Cluster = { x: 0, y: 0, count: spots.length, roles: new Map(), offline: 0 };
  for (const { device, x, y } of spots) {
    cluster.x += x / spots.length;
    cluster.y += y / spots.length;
    cluster.roles.set(device.role, (cluster.roles.get(device.role) ?? 0) + 1);
    if (!device.online) cluster.offline += 1;
  }
  return cluster;
}

export function radiusOf({ count }: Cluster): number {
  return Math.min(24, 11 + 2.2 * Math.log2(count));
}

/** Draw a disc with the number of devices and a ring of their roles; a dashed edge says that some are offline. */
export function drawCluster(pen: Pen, cluster: Cluster, colours: Colours, site: Site): void {
  const { x, y, count, roles, offline } = cluster;
  const radius = radiusOf(cluster);
  pen.fillStyle = colours.paper;
  pen.beginPath();
  pen.arc(x, y, radius + 2, 0, 7);
  pen.fill();
  pen.lineWidth = 5;
  let from = -Math.PI / 2;
  for (const [role, many] of [...roles].sort()) {
    const to = from + (2 * Math.PI * many) / count;
    pen.strokeStyle = colours[ROLE_COLOUR[role]];
    pen.beginPath();
    pen.arc(x, y, radius - 2.5, from, to);
    pen.stroke();
    from = to;
  }
  if (offline && !site.run.finished) {
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 1.5;
    pen.setLineDash([3, 3]);
    pen.beginPath();
    pen.arc(x, y, radius + 1.5, 0, 7);
    pen.stroke();
    pen.setLineDash([]);
  }
  pen.fillStyle = colours.ink;
  pen.font = labelFont(1, '600');
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.fillText(String(count), x, y + 0.5);
}
