// The strip of figures, the badge, the log and the list of devices found.

import { clockText, dayText, kw, percent, plain, price } from './format';
import { headline } from './card';
import type { Journal } from './journal';
import type { Site } from './model';
import { PHASES } from './wire';

const get = (id: string): HTMLElement => document.getElementById(id)!;
const MARKS = { setting: '◆', online: '+', offline: '×', refused: '!', run: '›' } as const;
const MOST_FOUND = 40;
const BETWEEN_CELLS: ReadonlySet<string> = new Set(['residual', 'surplus', 'exchange']);

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
  put('now-residual', last?.accounts ? kw((last.demand - last.wind) * 4) : '–');
  put('now-price', last ? `${price(last.lowestPrice)} · ${price(last.meanPrice)}` : '–');
  put('now-reactor', last ? percent(last.reactorShare) : '–');
  let online = 0;
  for (const device of site.devices.values()) if (device.online) online += 1;
  put('now-devices', `${plain(online)} of ${plain(site.devices.size)}`);
  const phases = site.facts && site.cells.length < 2 ? PHASES.filter((each) => !BETWEEN_CELLS.has(each)) : PHASES;
  steps(phases.indexOf(tick.phase), phases.length);
}

function steps(rank: number, of: number): void {
  const holder = get('now-steps');
  while (holder.children.length < of) holder.append(document.createElement('i'));
  while (holder.children.length > of) holder.lastElementChild?.remove();
  [...holder.children].forEach((each, index) => each.classList.toggle('on', index <= rank));
}

/** Say in a word how fresh all this is; return whether it is live. */
export function showBadge(site: Site, online: boolean, stale: boolean, nowMs: number): boolean {
  const badge = get('live');
  const [state, text] = !online
    ? ['off', 'not connected']
    : !site.tick
      ? ['wait', 'connected, no clock heard']
      : stale
        ? ['stale', site.clockOnline ? `stale: no tick for ${plain((nowMs - site.tickAt) / 1000)} s` : 'stale: the clock is offline']
        : site.clock?.status === 'finished'
          ? ['paused', 'run ended']
          : site.tick.paused
            ? ['paused', 'paused']
            : site.witnessed
              ? ['live', 'live']
              : ['wait', 'joined, the next phase is awaited'];
  badge.dataset['state'] = state;
  put('live', text);
  document.body.classList.toggle('stale', !online || stale);
  const title = `${state === 'live' ? '' : `${text} · `}${site.name} – GridFleet`;
  if (document.title !== title) document.title = title;
  return state === 'live';
}

let logged = 0;

export function showLog({ entries }: Journal): void {
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

export function showFound(site: Site, words: string, select: (id: string) => void): void {
  const holder = get('found');
  const wanted = words.trim().toLowerCase();
  if (!wanted) {
    holder.replaceChildren();
    return;
  }
  const rows: HTMLElement[] = [];
  for (const device of site.devices.values()) {
    const source = device.state ? (device.state.measured ? 'measured' : 'simulated') : '';
    const text = `${device.id} ${device.label} ${device.cell} ${device.state?.status ?? ''} ${source} ${device.online ? '' : 'offline'}`;
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
