// Puts the parts together: messages go into the model within a budget per frame, and what is seen is drawn from it.

import './style.css';
import { Card, headline } from './card';
import { Charts } from './charts';
import { Controls } from './controls';
import { batches } from './hosts';
import { MapView, type CellArea } from './map';
import { Merit } from './merit';
import { Site } from './model';
import { colours, KIND_TONE, type Colours, type Theme } from './palette';
import { put, showBadge, showFound, showLog, showNow } from './panels';
import { KINDS, WORDS, type Value } from './wire';
import type { FromWorker, Heard, Login, ToWorker } from './worker';

interface Config {
  /** Absolute, or relative to this page. */
  ws_url: string;
  broker: string;
  site: string;
  access: 'open' | 'login';
  cells: CellArea[];
  reactor_price_ueur: number | null;
}

const BUDGET_MS = 6;
const HIDDEN_BUDGET_MS = 100;
const PANELS_MS = 200;
const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

function start(config: Config): void {
  const site = new Site(config.site);
  const queue: Heard[] = [];
  let taken = 0;
  let online = false;
  let everOnline = false;
  let heard = 0;
  let palette = themeNow();
  const still = matchMedia('(prefers-reduced-motion: reduce)');

  const address = new URL(config.ws_url, location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  const me = identity();
  const clientId = `page-${random()}`; // of this very page: a duplicated tab must not push it out
  let operator = me;
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  const tell = (message: ToWorker): void => worker.postMessage(message);
  const filters = Object.entries(WORDS).map(([word, scopes]) => `gridfleet/${site.name}/${word}/${'+/'.repeat(scopes)}+`);
  filters.push(batches(site.name));
  const connect = (login: Login | null): void => {
    operator = login?.username || me;
    tell({ kind: 'connect', url: address.href, filters, clientId, login });
  };

  const map = new MapView(get('map'), site, config.cells, palette, () => still.matches);
  const charts = new Charts(get('charts'), site, palette);
  const merit = new Merit(get<HTMLCanvasElement>('merit'), get('market-caption'), site, config.reactor_price_ueur);
  const card = new Card(site);
  const controls = new Controls(site, (setting: string, value: Value, revision: number) => {
    const topic = `gridfleet/${site.name}/control/${setting}/${operator}`;
    tell({ kind: 'publish', topic, payload: JSON.stringify({ value, revision }) });
  });
  const select = (id: string | null, speak = true): void => {
    map.selected = id;
    const device = id ? site.devices.get(id) : undefined;
    if (speak) put('spoken', device ? `${device.id}: ${headline(device)}` : '');
    card.update(id, palette);
  };

  put('site', site.name);
  put('access', config.access === 'open' ? `Broker ${config.broker}: open to whoever reaches it.` : `Broker ${config.broker}: by login.`);
  makeKinds(map, palette);
  bindMap(map, site, select);
  bindTheme(() => {
    palette = themeNow();
    map.recolour(palette);
    charts.recolour(palette);
    makeKinds(map, palette);
  });
  get('card-close').addEventListener('click', () => select(null));
  get<HTMLInputElement>('find').addEventListener('input', (event) =>
    showFound(site, (event.target as HTMLInputElement).value, (id) => {
      select(id);
      get('card').scrollIntoView({ block: 'nearest' });
    }),
  );
  get<HTMLSelectElement>('market-cell').addEventListener('change', (event) => {
    merit.cell = (event.target as HTMLSelectElement).value;
  });
  get<HTMLFormElement>('login').addEventListener('submit', (event) => {
    event.preventDefault();
    const password = get<HTMLInputElement>('password');
    connect({ username: get<HTMLInputElement>('username').value, password: password.value });
    password.value = '';
  });
  makeKey();

  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind === 'heard') {
      for (const message of data.messages) queue.push(message);
      return;
    }
    if (data.kind === 'refused') {
      controls.refused(data.reason);
      return;
    }
    online = data.kind === 'online';
    const banner = get('banner');
    banner.hidden = online;
    if (data.kind === 'online') {
      if (everOnline) site.note('online', 'Connected to the broker again');
      everOnline = true;
      get('login').hidden = true;
      return;
    }
    if (everOnline && banner.dataset['reason'] !== data.reason) site.note('offline', `Lost the broker: ${data.reason}`);
    const then = data.denied ? 'Log in below.' : 'What is shown is the last that was heard; connecting again…';
    put('banner', `Not connected: ${data.reason}. ${then}`);
    get('login').hidden = !(data.denied || config.access === 'login');
  };

  const take = (budgetMs: number): void => {
    const end = performance.now() + budgetMs;
    while (taken < queue.length) {
      const [topic, payload, retained] = queue[taken++]!;
      site.hear(topic, payload, retained, performance.now());
      if ((taken & 15) === 0 && performance.now() > end) break;
    }
    heard += taken === queue.length ? taken : 0;
    if (taken === queue.length) queue.length = taken = 0;
  };

  let panelsAt = 0;
  const panels = (now: number): void => {
    panelsAt = now;
    site.settle(now);
    const stale = site.stale(now);
    showNow(site);
    showBadge(site, online, stale, now);
    showLog(site);
    controls.update(now, online);
    card.update(map.selected, palette);
    merit.draw(palette);
    charts.update();
    counts(site);
    cells(site);
    get('empty').hidden = site.devices.size > 0;
    const odd = site.malformed ? `, ${site.malformed} not understood` : '';
    put('traffic', `${heard.toLocaleString('en-GB')} messages heard${odd}. You steer as ${operator}.`);
  };
  const frame = (): void => {
    requestAnimationFrame(frame);
    const now = performance.now();
    take(BUDGET_MS);
    map.draw(now);
    if (now - panelsAt > PANELS_MS) panels(now);
  };
  requestAnimationFrame(frame);
  setInterval(() => {
    if (document.hidden) take(HIDDEN_BUDGET_MS);
  }, 250);
  if (config.access === 'login') get('login').hidden = false;
  else connect(null);
}

function random(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(4)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function identity(): string {
  const kept = sessionStorage.getItem('gridfleet-id');
  if (kept) return kept;
  const made = `console-${random()}`;
  sessionStorage.setItem('gridfleet-id', made);
  return made;
}

// --- colours -----------------------------------------------------------------------------------------------

const dark = matchMedia('(prefers-color-scheme: dark)');

function themeNow(): Colours {
  const wish = localStorage.getItem('gridfleet-theme');
  const theme: Theme = wish === 'dark' || wish === 'light' ? wish : dark.matches ? 'dark' : 'light';
  document.documentElement.dataset['theme'] = theme;
  return colours(theme);
}

function bindTheme(changed: () => void): void {
  const field = get<HTMLSelectElement>('theme');
  field.value = localStorage.getItem('gridfleet-theme') ?? 'auto';
  field.addEventListener('change', () => {
    if (field.value === 'auto') localStorage.removeItem('gridfleet-theme');
    else localStorage.setItem('gridfleet-theme', field.value);
    changed();
  });
  dark.addEventListener('change', changed);
}

// --- the map's surroundings --------------------------------------------------------------------------------

const SHAPES: Record<(typeof KINDS)[number], string> = {
  turbine: 'turbines', consumer: 'consumers', charger: 'chargers', vehicle: 'vehicles', reactor: 'reactors',
};

function makeKinds(map: MapView, palette: Colours): void {
  const holder = get('kinds');
  holder.replaceChildren(
    ...KINDS.map((kind) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'kind';
      button.id = `kind-${kind}`;
      button.setAttribute('aria-pressed', String(!map.hidden.has(kind)));
      button.title = `Show or hide ${SHAPES[kind]}`;
      const icon = document.createElement('canvas');
      icon.setAttribute('aria-hidden', 'true');
      map.icon(icon, kind, palette[KIND_TONE[kind]]);
      const count = document.createElement('span');
      count.id = `count-${kind}`;
      button.append(icon, SHAPES[kind], ' ', count);
      button.addEventListener('click', () => {
        if (!map.hidden.delete(kind)) map.hidden.add(kind);
        button.setAttribute('aria-pressed', String(!map.hidden.has(kind)));
      });
      return button;
    }),
  );
}

function counts(site: Site): void {
  const sums = new Map<string, number>();
  for (const device of site.devices.values()) sums.set(device.kind, (sums.get(device.kind) ?? 0) + 1);
  for (const kind of KINDS) put(`count-${kind}`, String(sums.get(kind) ?? 0));
}

function cells(site: Site): void {
  const field = get<HTMLSelectElement>('market-cell');
  const names = [...new Set([...site.devices.values()].filter((each) => each.kind !== 'reactor').map((each) => each.cell))].sort();
  const key = names.join('\n');
  if (field.dataset['key'] === key) return;
  field.dataset['key'] = key;
  get('market-cell-label').hidden = names.length < 2;
  const chosen = field.value;
  field.replaceChildren(new Option('all', ''), ...names.map((name) => new Option(name, name)));
  if (names.includes(chosen)) field.value = chosen;
}

function bindMap(map: MapView, site: Site, select: (id: string | null) => void): void {
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
    if (drag && event.buttons && (drag.moved || Math.hypot(x - drag.x, y - drag.y) > 4) && map.zoomed) {
      map.pan(x - drag.x, y - drag.y);
      drag = { x, y, moved: true };
    }
    const device = event.pointerType === 'touch' ? null : map.at(x, y);
    map.hovered = device?.id ?? null;
    canvas.style.cursor = device ? 'pointer' : map.zoomed ? 'grab' : 'default';
    tip.hidden = !device;
    if (!device) return;
    const name = document.createElement('b');
    name.textContent = device.label && device.label !== device.id ? `${device.id} · ${device.label}` : device.id;
    tip.replaceChildren(name, headline(device));
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
    if (!moved) select(map.at(...point(event as PointerEvent))?.id ?? null);
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
    if (!map.selected && canvas.matches(':focus-visible') && site.devices.size) {
      const first = map.neighbour(1, 0);
      if (first) select(first.id);
    }
  });
  for (const button of map.box.querySelectorAll<HTMLButtonElement>('[data-zoom]')) {
    button.addEventListener('click', () => map.zoomBy(Number(button.dataset['zoom'])));
  }
}

function makeKey(): void {
  get('merit-key').append(
    ...([['wind', 'served by wind'], ['imported', 'by a neighbour'], ['reactor', 'by the reactor'], ['unserved', 'not served']] as const).map(
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

// --- the beginning -----------------------------------------------------------------------------------------

async function load(): Promise<void> {
  const answer = await fetch('config.json', { cache: 'no-store' });
  if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
  start((await answer.json()) as Config);
}

load().catch((error: unknown) => {
  get('banner').hidden = false;
  put('banner', `The console cannot start: ${error instanceof Error ? error.message : String(error)}`);
});
