// Search over devices: by id, label, kind, role, cell, status, and what is wrong with them.

import { isShort, type Device } from '../model/devices';
import type { Site } from '../model/site';
import { headline } from './card';
import { ROLE_NAME } from './roles';

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
/** So many devices are offered below the field; the table has all. */
const OFFERED = 8;
const byName = new Intl.Collator('en', { numeric: true }).compare;

/** The words by which a device is found, in small letters. */
export function words(site: Site, device: Device): string {
  const { id, label, kind, role, cell, state } = device;
  const source = state ? (state.measured ? 'measured' : 'simulated') : '';
  return `${id} ${label} ${kind} ${ROLE_NAME[role]} ${cell} ${state?.status ?? ''} ${source} ${stateWords(site, device)}`.toLowerCase();
}

/** What a device does or suffers, in a few words: the worst first. */
export function stateWords(site: Site, device: Device): string {
  if (!device.online) return 'offline';
  if (site.suspensionOf(device.id)) return 'suspended';
  if (isShort(device.state)) return 'not served in full';
  return device.state?.status ?? 'no report yet';
}

/** The search field: offers devices while one types; Enter selects the first, Escape clears. */
export class Search {
  private readonly field = get<HTMLInputElement>('find');
  private readonly holder = get('found');

  constructor(
    private readonly site: Site,
    private readonly filter: (query: string) => void,
    private readonly select: (id: string) => void,
  ) {
    this.field.addEventListener('input', () => this.offer());
    this.field.addEventListener('keydown', (event) => {
      const [first] = this.matches();
      if (event.key === 'Enter' && first) this.choose(first.id);
      else if (event.key === 'Escape') this.for('');
      else return;
      event.preventDefault();
    });
  }

  /** Search for words, as if they had been typed. */
  for(query: string): void {
    this.field.value = query;
    this.offer();
    this.field.focus();
  }

  private matches(): Device[] {
    const wanted = this.field.value.trim().toLowerCase();
    if (!wanted) return [];
    const found = [...this.site.devices.all.values()].filter((each) => words(this.site, each).includes(wanted));
    const rank = ({ id, kind }: Device): number => (id === wanted ? 0 : id.startsWith(wanted) ? 1 : kind === wanted ? 2 : 3);
    return found.sort((a, b) => rank(a) - rank(b) || byName(a.id, b.id));
  }

  private choose(id: string): void {
    this.holder.replaceChildren();
    this.select(id);
  }

  private offer(): void {
    this.filter(this.field.value);
    const found = this.matches();
    const rows = found.slice(0, OFFERED).map((device) => {
      const row = document.createElement('li');
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = `${device.id}: ${headline(device)}`;
      button.addEventListener('click', () => this.choose(device.id));
      row.append(button);
      return row;
    });
    if (this.field.value.trim() && !rows.length) {
      const row = document.createElement('li');
      row.textContent = 'No device has this in its id, label, kind, role, cell or status.';
      rows.push(row);
    }
    this.holder.replaceChildren(...rows);
  }
}
