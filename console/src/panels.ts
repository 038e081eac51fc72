// The strip of figures, the badge, the log and the list of devices found.

import { clockText, dayText, kw, percent, plain, price } from './format';
import { headline } from './card';
import type { Site } from './model';
import { PHASES } from './wire';

const get = (id: string): HTMLElement => document.getElementById(id)!;
const MARKS = { setting: '◆', online: '+', offline: '×', refused: '!', run: '›' } as const;
const MOST_FOUND = 40;

export function put(id: string, text: string): void {
  const holder = get(id);
  if (holder.textContent !== text) holder.textContent = text;
}

export function showNow(site: Site): void {
  const tick = site.tick;
  if (!tick) return;
  const last = site.last;
  put('now-tick', `${plain(tick.tick + 1)} of ${plain(tick.tick + 1 + tick.ticksLeft)}`);
  put('now-phase', tick.paused ? `${tick.phase}, paused` : tick.phase);
  put('now-time', `${dayText(tick.simulatedMs)}, ${clockText(tick.simulatedMs)}`);
  // Wh in a quarter of an hour, times four, are W.
  put('now-residual', last ? kw((last.demand - last.wind) * 4) : '–');
  put('now-price', last ? `${price(last.lowestPrice)} · ${price(last.meanPrice)}` : '–');
  put('now-reactor', last ? percent(last.reactorShare) : '–');
  let online = 0;
  for (const device of site.devices.values()) if (device.online) online += 1;
  put('now-devices', `${plain(online)} of ${plain(site.devices.size)}`);
  steps(PHASES.indexOf(tick.phase));
}

function steps(rank: number): void {
  const holder = get('now-steps');
  if (!holder.children.length) for (const _ of PHASES) holder.append(document.createElement('i'));
  [...holder.children].forEach((each, index) => each.classList.toggle('on', index <= rank));
}

export function showBadge(site: Site, online: boolean, stale: boolean, nowMs: number): void {
  const badge = get('live');
  const [state, text] = !online
    ? ['off', 'not connected']
    : !site.tick
      ? ['wait', 'connected, no clock heard']
      : stale
        ? ['stale', `stale: no tick for ${plain((nowMs - site.tickAt) / 1000)} s`]
        : site.clock?.status === 'finished'
          ? ['paused', 'run ended']
          : site.tick.paused
            ? ['paused', 'paused']
            : ['live', 'live'];
  badge.dataset['state'] = state;
  put('live', text);
  document.body.classList.toggle('stale', !online || stale);
}

let logged = 0;

export function showLog(site: Site): void {
  const newest = site.log[0]?.id ?? 0;
  if (newest === logged) return;
  const holder = get('log');
  const fresh = site.log.filter((entry) => entry.id > logged);
  logged = newest;
  holder.prepend(
    ...fresh.map((entry) => {
      const row = document.createElement('li');
      row.className = entry.kind;
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

export function showFound(site: Site, words: string, select: (id: string) => void): void {
  const holder = get('found');
  const wanted = words.trim().toLowerCase();
  if (!wanted) {
    holder.replaceChildren();
    return;
  }
  const rows: HTMLElement[] = [];
  for (const device of site.devices.values()) {
    const text = `${device.id} ${device.label} ${device.cell} ${device.state?.status ?? ''} ${device.online ? '' : 'offline'}`;
    if (!text.toLowerCase().includes(wanted)) continue;
    const row = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = `${device.id}: ${headline(device)}`;
    button.addEventListener('click', () => select(device.id));
    row.append(button);
    rows.push(row);
    if (rows.length === MOST_FOUND) break;
  }
  if (!rows.length) {
    const row = document.createElement('li');
    row.textContent = 'No device has that in its id, label, cell or status.';
    rows.push(row);
  }
  holder.replaceChildren(...rows);
}
