// Pointer and keyboard on the map: hover, click, drag, zoom, and move between devices with the arrow keys.

import { plain } from '../../format';
import { headline } from '../card';
import { ROLE_NAME, ROLE_NAMES } from '../roles';
import type { MapView } from './map';
import type { Site } from '../../model/site';

const get = (id: string): HTMLElement => document.getElementById(id)!;

export function bindMap(map: MapView, site: Site, select: (id: string | null) => void): void {
  const canvas = map.box.querySelector<HTMLCanvasElement>('canvas.devices')!;
  const tip = get('tip');
  let drag: { x: number; y: number; moved: boolean } | null = null;
  const point = (event: PointerEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener('pointerdown', (event) => {
    const [x, y] = point(event);
    drag = { x, y, moved: false };
  });
  canvas.addEventListener('pointermove', (event) => {
    const [x, y] = point(event);
    if (drag && event.buttons && (drag.moved || Math.hypot(x - drag.x, y - drag.y) > 4) && map.isZoomed) {
      map.pan(x - drag.x, y - drag.y);
      drag = { x, y, moved: true };
    }
    const device = event.pointerType === 'touch' ? null : map.at(x, y);
    const cluster = device ? null : map.clusterAt(x, y);
    map.hovered = device?.id ?? null;
    canvas.style.cursor = device || cluster ? 'pointer' : map.isZoomed ? 'grab' : 'default';
    tip.hidden = !device && !cluster;
    const name = document.createElement('b');
    if (device) {
      name.textContent = device.label && device.label !== device.id ? `${device.id} · ${device.label}` : device.id;
      tip.replaceChildren(name, headline(device));
    } else if (cluster) {
      name.textContent = `${plain(cluster.count)} devices`;
      const roles = [...cluster.roles].map(([role, count]) => `${plain(count)} ${count === 1 ? ROLE_NAME[role] : ROLE_NAMES[role]}`);
      tip.replaceChildren(name, `${roles.join(', ')}${cluster.offline ? `; ${plain(cluster.offline)} offline` : ''}. Click to zoom in.`);
    } else return;
    tip.style.left = `${Math.max(4, Math.min(x + 14, map.box.clientWidth - tip.offsetWidth - 6))}px`;
    tip.style.top = `${y + 16 + tip.offsetHeight > map.box.clientHeight ? y - tip.offsetHeight - 10 : y + 16}px`;
  });
  canvas.addEventListener('pointerleave', () => {
    map.hovered = null;
    tip.hidden = true;
  });
  canvas.addEventListener('click', (event) => {
    const moved = drag?.moved;
    drag = null;
    if (moved) return;
    const at = point(event as PointerEvent);
    const device = map.at(...at);
    if (!device && map.clusterAt(...at)) map.zoomTo(...at);
    else select(device?.id ?? null);
  });
  const arrows: Record<string, [number, number]> = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  };
  canvas.addEventListener('keydown', (event) => {
    const way = arrows[event.key];
    if (way) {
      const next = map.neighbour(...way);
      if (next) select(next.id);
    } else if (event.key === 'Escape') select(null);
    else if (event.key === '+') map.zoomBy(1.6);
    else if (event.key === '-') map.zoomBy(0.625);
    else if (event.key === '0') map.zoomBy(0);
    else return;
    event.preventDefault();
  });
  canvas.addEventListener('focus', () => {
    if (!map.selected && canvas.matches(':focus-visible') && site.devices.all.size) {
      const first = map.neighbour(1, 0);
      if (first) select(first.id);
    }
  });
  for (const button of map.box.querySelectorAll<HTMLButtonElement>('[data-zoom]')) {
    button.addEventListener('click', () => map.zoomBy(Number(button.dataset['zoom'])));
  }
}
