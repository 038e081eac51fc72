// The event log, and text that changes.

import { clockText } from '../format';
import type { EventLog } from '../model/event-log';

const get = (id: string): HTMLElement => document.getElementById(id)!;
const MARKS = { setting: '◆', online: '+', offline: '×', refused: '!', suspended: '⊘', run: '›' } as const;

export function put(id: string, text: string): void {
  const holder = get(id);
  if (holder.textContent !== text) holder.textContent = text;
}

let logged = 0;

/** Begin again: the whole log has been replaced. */
export function clearLog(): void {
  logged = 0;
  get('log').replaceChildren();
  get('log-empty').hidden = false;
}

export function showLog({ entries }: EventLog): void {
  const newest = entries[0]?.id ?? 0;
  if (newest === logged) return;
  get('log-empty').hidden = entries.length > 0;
  const holder = get('log');
  const fresh = entries.filter((entry) => entry.id > logged);
  logged = newest;
  const kept = new Set(entries.map((entry) => String(entry.id)));
  for (const row of [...holder.children]) if (!kept.has((row as HTMLElement).dataset['id'] ?? '')) row.remove();
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
