// The table of devices beside the map: sorted by a column, filtered by the search, drawn only where it is visible.

import { percent, plain } from '../format';
import { stateOfCharge, type Device } from '../model/devices';
import type { Site } from '../model/site';
import { stateWords, words } from './search';
import { rem } from './text-size';

type Column = 'id' | 'kind' | 'state' | 'charge' | 'seen';
interface Row {
  device: Device;
  /** What the column that sorts shows, as a value that compares. */
  key: string | number;
}
const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
/** Rows drawn above and below those in view. */
const SPARE = 6;
/** How often the table is sorted again, in ms: with many devices a reader could not follow anyway. */
const SORT_MS = 1_000;
const byName = new Intl.Collator('en', { numeric: true }).compare;

export class DevicesTable {
  query = '';
  private chosen: string | null = null;
  private column: Column = 'id';
  private descending = false;
  private rows: readonly Row[] = [];
  private sortedAt = -Infinity;
  private shown = '';
  private readonly frame = get('devices-frame');
  private readonly body = get<HTMLTableSectionElement>('devices-rows');

  constructor(
    private readonly site: Site,
    private readonly select: (id: string) => void,
  ) {
    this.frame.addEventListener('scroll', () => this.draw(), { passive: true });
    for (const button of document.querySelectorAll<HTMLButtonElement>('#devices th button')) {
      button.addEventListener('click', () => this.sortBy(button.dataset['column'] as Column));
    }
    this.body.addEventListener('click', (event) => {
      const id = (event.target as HTMLElement).closest('tr')?.dataset['id'];
      if (id) this.select(id);
    });
    this.frame.addEventListener('keydown', (event) => this.onKey(event));
  }

  /** Mark the row of a device. */
  set selected(id: string | null) {
    this.chosen = id;
    this.draw();
  }

  /** Show the devices as they are now. */
  update(nowMs: number, force = false): void {
    if (!this.frame.checkVisibility()) return;
    if (force || nowMs - this.sortedAt > SORT_MS) {
      this.sortedAt = nowMs;
      this.sort();
    }
    this.draw();
  }

  private sortBy(column: Column): void {
    this.descending = this.column === column ? !this.descending : column === 'charge' || column === 'seen';
    this.column = column;
    for (const cell of document.querySelectorAll<HTMLElement>('#devices th')) {
      const isSorted = cell.querySelector('button')?.dataset['column'] === column;
      if (isSorted) cell.setAttribute('aria-sort', this.descending ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    }
    this.frame.scrollTop = 0;
    this.update(0, true);
  }

  private sort(): void {
    const wanted = this.query.trim().toLowerCase();
    const found: Row[] = [];
    for (const device of this.site.devices.all.values()) {
      if (wanted && !words(this.site, device).includes(wanted)) continue;
      found.push({ device, key: this.keyOf(device) });
    }
    const sign = this.descending ? -1 : 1;
    found.sort(({ device: one, key: a }, { device: other, key: b }) => {
      const order = typeof a === 'number' && typeof b === 'number' ? a - b || 0 : byName(String(a), String(b));
      return sign * order || byName(one.id, other.id);
    });
    this.rows = found;
    const all = this.site.devices.all.size;
    const count = wanted ? `${plain(found.length)} of ${plain(all)} devices` : `${plain(all)} devices`;
    if (get('devices-count').textContent !== count) get('devices-count').textContent = count;
    get('devices').setAttribute('aria-rowcount', String(found.length + 1));
  }

  private keyOf(device: Device): string | number {
    switch (this.column) {
      case 'id':
        return device.id;
      case 'kind':
        return device.kind;
      case 'state':
        return stateWords(this.site, device);
      case 'charge':
        return Number.isNaN(stateOfCharge(device.state)) ? -1 : stateOfCharge(device.state);
      case 'seen':
        return device.state?.tick ?? -1;
    }
  }

  /** Draw the rows in view; the others are empty space. */
  private draw(): void {
    const height = this.rowHeight();
    const first = Math.max(0, Math.floor(this.frame.scrollTop / height) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((this.frame.scrollTop + this.frame.clientHeight) / height) + SPARE);
    const visible = this.rows.slice(first, last).map(({ device }) => this.texts(device));
    const key = `${first} ${this.rows.length} ${this.chosen} ${height}\n${visible.map((each) => each.join('\t')).join('\n')}`;
    if (key === this.shown) return;
    this.shown = key;
    const space = (rows: number): HTMLTableRowElement => {
      const row = document.createElement('tr');
      row.className = 'space';
      row.setAttribute('aria-hidden', 'true');
      row.style.height = `${rows * height}px`;
      return row;
    };
    this.body.replaceChildren(
      space(first),
      ...visible.map((texts, index) => this.row(texts, first + index)),
      space(this.rows.length - last),
    );
  }

  private row(texts: readonly string[], index: number): HTMLTableRowElement {
    const device = this.rows[index]!.device;
    const row = document.createElement('tr');
    row.dataset['id'] = device.id;
    row.setAttribute('aria-rowindex', String(index + 2));
    if (device.id === this.chosen) row.setAttribute('aria-selected', 'true');
    if (!device.online) row.className = 'offline';
    texts.forEach((text, column) => {
      const cell = document.createElement(column ? 'td' : 'th');
      if (!column) cell.setAttribute('scope', 'row');
      cell.textContent = text;
      cell.title = text;
      row.append(cell);
    });
    return row;
  }

  private texts(device: Device): string[] {
    const charge = stateOfCharge(device.state);
    const seen = device.state ? plain(device.state.tick + 1) : '–';
    return [device.id, device.kind, stateWords(this.site, device), Number.isNaN(charge) ? '' : percent(charge), seen];
  }

  private rowHeight(): number {
    return 1.75 * rem();
  }

  /** Arrow keys move through the rows; Enter opens the page of the device. */
  private onKey(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.target !== this.frame) return;
    event.preventDefault();
    const at = this.rows.findIndex(({ device }) => device.id === this.chosen);
    const next = this.rows[Math.max(0, Math.min(this.rows.length - 1, at + step))];
    if (!next) return;
    this.select(next.device.id);
    const top = this.rows.indexOf(next) * this.rowHeight();
    if (top < this.frame.scrollTop || top > this.frame.scrollTop + this.frame.clientHeight - 3 * this.rowHeight()) {
      this.frame.scrollTop = Math.max(0, top - this.frame.clientHeight / 2);
    }
  }
}
