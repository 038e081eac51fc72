// Legends: the kinds to show or hide on the map, the cells to choose from, the colours of the market view.

import { DEVICE_KINDS, type DeviceKind } from '../model/devices';
import type { Site } from '../model/site';
import type { MapView } from './map/map';
import { KIND_COLOUR, type Colours } from './palette';
import { put } from './panels';

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const PLURALS: Record<DeviceKind, string> = {
  turbine: 'turbines', consumer: 'consumers', charger: 'chargers', vehicle: 'vehicles', reactor: 'reactors',
};

export function buildKinds(map: MapView, palette: Colours): void {
  const holder = get('kinds');
  holder.replaceChildren(
    ...DEVICE_KINDS.map((kind) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'kind';
      button.id = `kind-${kind}`;
      button.setAttribute('aria-pressed', String(!map.hidden.has(kind)));
      button.title = `Show or hide ${PLURALS[kind]}`;
      const icon = document.createElement('canvas');
      icon.setAttribute('aria-hidden', 'true');
      map.icon(icon, kind, palette[KIND_COLOUR[kind]]);
      const count = document.createElement('span');
      count.id = `count-${kind}`;
      button.append(icon, PLURALS[kind], ' ', count);
      button.addEventListener('click', () => {
        if (!map.hidden.delete(kind)) map.hidden.add(kind);
        button.setAttribute('aria-pressed', String(!map.hidden.has(kind)));
      });
      return button;
    }),
  );
}

export function showCounts(site: Site): void {
  const sums = new Map<string, number>();
  for (const device of site.devices.all.values()) sums.set(device.kind, (sums.get(device.kind) ?? 0) + 1);
  for (const kind of DEVICE_KINDS) put(`count-${kind}`, String(sums.get(kind) ?? 0));
}

export function showCells(site: Site): void {
  const field = get<HTMLSelectElement>('market-cell');
  const names = [...new Set([...site.devices.all.values()].filter((each) => each.kind !== 'reactor').map((each) => each.cell))].sort();
  const key = names.join('\n');
  if (field.dataset['key'] === key) return;
  field.dataset['key'] = key;
  get('market-cell-label').hidden = names.length < 2;
  const chosen = field.value;
  field.replaceChildren(new Option('all', ''), ...names.map((name) => new Option(name, name)));
  if (names.includes(chosen)) field.value = chosen;
}

export function buildKey(): void {
  get('merit-key').append(
    ...([['wind', 'served by turbines'], ['imported', 'by a neighbouring cell'], ['reactor', 'by the reactor'], ['unserved', 'not served']] as const).map(
      ([name, text]) => {
        const item = document.createElement('span');
        const patch = document.createElement('i');
        patch.className = name;
        item.append(patch, text);
        return item;
      },
    ),
  );
}
