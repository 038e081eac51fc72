// The event log and the list of devices found.

import { clockText } from '../format';
import { headline } from './card';
import { ROLE_NAME } from './roles';
import { isShort } from '../model/devices';
import type { EventLog } from '../model/event-log';
import type { Site } from '../model/site';

const get = (id: string): HTMLElement => document.getElementById(id)!;
const MARKS = { setting: '◆', online: '+', offline: '×', refused: '!', suspended: '⊘', run: '›' } as const;
const MAX_FOUND = 40;

export function put(id: string, text: string): void {
  const holder = get(id);
  if (holder.textContent !== text) holder.textContent = text;
}

let logged = 0;

export function showLog({ entries }: EventLog): void {
  const newest = entries[0]?.id ?? 0;
  if (newest === logged) return;
  get('log-empty').hidden = true;
  const holder = get('log');
  const fresh = entries.filter((entry) => entry.id > logged);
  logged = newest;
  const kept = new Set(entries.map((entry) => String(entry.id)));
  for (const row of [...holder.children].slice(0, 8)) if (!kept.has((row as HTMLElement).dataset['id'] ?? '')) row.remove();
  holder.prepend(
    ...fresh.map((entry) => {
      const row = document.createElement('li');
      row.className = entry.kind;
      row.dataset['id'] = String(entry.id);
      const time = document.createElement('time');
      time.textContent = Number.isFinite(entry.ms) ? clockText(entry.ms) : '–';
      const mark = document.createElement('i');
      mark.textContent = MARKS[entry.kind];
      mark.setAttribute('aria-hidden', 'true');
      const text = document.createElement('span');
      text.textContent = entry.text;
      row.append(time, mark, text);
      return row;
    }),
  );
  while (holder.children.length > 120) holder.lastElementChild?.remove();
}

export function showFound(site: Site, query: string, select: (id: string) => void): void {
  const holder = get('found');
  const wanted = query.trim().toLowerCase();
  if (!wanted) {
    holder.replaceChildren();
    return;
  }
  const rows: HTMLElement[] = [];
  for (const device of site.devices.all.values()) {
    const source = device.state ? (device.state.measured ? 'measured' : 'simulated') : '';
    const words = [device.id, device.label, device.kind, ROLE_NAME[device.role], device.cell, device.state?.status, source, device.online ? '' : 'offline'];
    if (isShort(device.state)) words.push('not served');
    if (site.suspensionOf(device.id)) words.push('suspended');
    if (!words.join(' ').toLowerCase().includes(wanted)) continue;
    const row = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = `${device.id}: ${headline(device)}`;
    button.addEventListener('click', () => select(device.id));
    row.append(button);
    rows.push(row);
    if (rows.length === MAX_FOUND) break;
  }
  if (!rows.length) {
    const row = document.createElement('li');
    row.textContent = 'No device has this in its id, label, kind, role, cell or status.';
    rows.push(row);
  }
  holder.replaceChildren(...rows);
}
