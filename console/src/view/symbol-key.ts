// The key of the map for newcomers: what the page shows, and what the symbols mean. It can be dismissed, and comes back from the menu.

import { plain } from '../format';
import { DEVICE_ROLES, type DeviceRole } from '../model/devices';
import type { Site } from '../model/site';
import type { MapView } from './map/map';
import { ROLE_COLOUR, type Colours } from './palette';
import { put } from './panels';
import { nameOfRole } from './roles';

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const DISMISSED = 'gridfleet-key-dismissed';
const MEANING: Readonly<Record<DeviceRole, string>> = {
  producer: 'turns faster with more power',
  consumer: 'hollow: does not get all it wants',
  storage: 'filled as its battery; arrow up sells, down buys',
  charger: 'ring: energy stored; dots: ports, hollow if reserved',
  vehicle: 'filled as its battery; the line leads to its charger',
  'grid-supply': 'glows while it sells; dotted lines lead to the buyers',
};

export class SymbolKey {
  private shown = '';

  constructor(
    private readonly site: Site,
    private readonly map: MapView,
    private colours: Colours,
  ) {
    get('key').hidden = localStorage.getItem(DISMISSED) === 'yes';
    get('key-dismiss').addEventListener('click', () => this.show(false));
    get('key-show').addEventListener('click', () => {
      get<HTMLDetailsElement>('view-menu').open = false;
      this.show(true);
    });
  }

  recolour(colours: Colours): void {
    this.colours = colours;
    this.shown = '';
  }

  update(): void {
    if (get('key').hidden) return;
    const { devices } = this.site;
    const count = devices.all.size;
    put('key-intro', count ? `A power grid of ${plain(count)} devices that trade electricity with each other every 15 minutes.` : 'A power grid whose devices trade electricity with each other every 15 minutes.');
    const roles = DEVICE_ROLES.filter((role) => devices.has(role));
    const key = roles.map((role) => nameOfRole(this.site, role)).join();
    if (key === this.shown) return;
    this.shown = key;
    get('key-symbols').replaceChildren(
      ...roles.map((role) => {
        const item = document.createElement('li');
        const icon = document.createElement('canvas');
        icon.setAttribute('aria-hidden', 'true');
        this.map.icon(icon, role, this.colours[ROLE_COLOUR[role]]);
        const name = document.createElement('b');
        name.textContent = nameOfRole(this.site, role);
        item.append(icon, name, ` ${MEANING[role]}`);
        return item;
      }),
    );
  }

  private show(isShown: boolean): void {
    get('key').hidden = !isShown;
    localStorage.setItem(DISMISSED, isShown ? 'no' : 'yes');
    this.update();
  }
}
