// Legends: the roles to show or hide on the map, the cells to choose from, the colours of the market view.

import { plain } from '../format';
import { DEVICE_ROLES, type DeviceRole } from '../model/devices';
import type { Site } from '../model/site';
import type { Source } from '../model/tick-totals';
import type { MapView } from './map/map';
import { ROLE_COLOUR, type Colours } from './palette';
import { put } from './panels';
import { kindCounts, ROLE_NAMES } from './roles';

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

/** The buttons of the roles present, with the number of devices and, where there are several, of each kind. */
export class RoleLegend {
  private shown: DeviceRole[] = [];

  constructor(
    private readonly map: MapView,
    private readonly site: Site,
    private colours: Colours,
  ) {}

  recolour(colours: Colours): void {
    this.colours = colours;
    this.build(this.shown);
  }

  update(): void {
    const counts = this.site.devices.count();
    const present = DEVICE_ROLES.filter((role) => counts.has(role));
    if (present.join() !== this.shown.join()) this.build(present);
    for (const role of present) {
      const kinds = counts.get(role)!;
      const all = [...kinds.values()].reduce((sum, count) => sum + count, 0);
      const listed = kindCounts(kinds);
      put(`count-${role}`, kinds.size > 1 ? `${plain(all)}: ${listed}` : plain(all));
      const title = `Show or hide ${ROLE_NAMES[role]}: ${listed}`;
      const button = get(`role-${role}`);
      if (button.title !== title) button.title = title;
    }
  }

  private build(roles: DeviceRole[]): void {
    this.shown = roles;
    get('roles').replaceChildren(
      ...roles.map((role) => {
        const button = document.createElement('button');
        button.type = 'button';
        button.className = 'role';
        button.id = `role-${role}`;
        button.setAttribute('aria-pressed', String(!this.map.hidden.has(role)));
        const icon = document.createElement('canvas');
        icon.setAttribute('aria-hidden', 'true');
        this.map.icon(icon, role, this.colours[ROLE_COLOUR[role]]);
        const count = document.createElement('span');
        count.id = `count-${role}`;
        button.append(icon, ROLE_NAMES[role], ' ', count);
        button.addEventListener('click', () => {
          if (!this.map.hidden.delete(role)) this.map.hidden.add(role);
          button.setAttribute('aria-pressed', String(!this.map.hidden.has(role)));
        });
        return button;
      }),
    );
  }
}

export function showCells(site: Site): void {
  const field = get<HTMLSelectElement>('market-cell');
  const names = [...new Set([...site.devices.all.values()].filter((each) => each.role !== 'grid-supply').map((each) => each.cell))].sort();
  const key = names.join('\n');
  if (field.dataset['key'] === key) return;
  field.dataset['key'] = key;
  get('market-cell-label').hidden = names.length < 2;
  const chosen = field.value;
  field.replaceChildren(new Option('all', ''), ...names.map((name) => new Option(name, name)));
  if (names.includes(chosen)) field.value = chosen;
}

const SERVED_BY: readonly (readonly [Source | 'unserved', string])[] = [
  ['producer', 'served by producers'],
  ['storage', 'by storages'],
  ['imported', 'by a neighbouring cell'],
  ['grid-supply', 'by the grid supply'],
  ['unserved', 'no seller at this price'],
];

export function buildKey(): void {
  get('merit-key').append(
    ...SERVED_BY.map(([name, text]) => {
      const item = document.createElement('span');
      item.id = `key-${name}`;
      const patch = document.createElement('i');
      patch.className = name;
      item.append(patch, text);
      return item;
    }),
  );
}

/** Show the storages in the key of the market view only where there are any. */
export function showKey(site: Site): void {
  get('key-storage').hidden = !site.devices.has('storage');
}
