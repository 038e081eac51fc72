// Puts the parts together: messages go into the model within a budget per frame, and what is seen is drawn from it.

import './style.css';
import { Card, headline } from './card';
import { Charts } from './charts';
import { Controls } from './controls';
import { batches } from './hosts';
import { cells, counts, makeKey, makeKinds } from './legend';
import { MapView } from './map';
import { Merit } from './merit';
import { Site } from './model';
import { put, showBadge, showFound, showLog, showNow } from './panels';
import { bindMap } from './pointer';
import { bindTheme, themeNow } from './theme';
import { WORDS, type Value } from './wire';
import type { FromWorker, Heard, Login, ToWorker } from './worker';

interface Config {
  /** Absolute, or relative to this page. */
  ws_url: string;
  broker: string;
  site: string;
  access: 'open' | 'login';
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
  const narrow = matchMedia('(max-width: 62rem)'); // there, the card is not beside the map

  const address = new URL(config.ws_url, location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  const me = identity();
  const clientId = `page-${random()}`; // of this very page: a duplicated tab must not push it out
  let operator = me;
  let loggedIn = false;
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  const tell = (message: ToWorker): void => worker.postMessage(message);
  const filters = Object.entries(WORDS).map(([word, scopes]) => `gridfleet/${site.name}/${word}/${'+/'.repeat(scopes)}+`);
  filters.push(batches(site.name));
  const connect = (login: Login | null): void => {
    operator = login?.username || me;
    loggedIn = login !== null;
    tell({ kind: 'connect', url: address.href, filters, clientId, login });
  };

  const map = new MapView(get('map'), site, palette, () => still.matches);
  const charts = new Charts(get('charts'), site, palette);
  const merit = new Merit(get<HTMLCanvasElement>('merit'), get('market-caption'), site);
  const controls = new Controls(site, (setting: string, value: Value, revision: number) => {
    const topic = `gridfleet/${site.name}/control/${setting}/${operator}`;
    tell({ kind: 'publish', topic, payload: JSON.stringify({ value, revision }) });
  });
  const card = new Card(site, controls);
  const select = (id: string | null, speak = true): void => {
    map.selected = id;
    const device = id ? site.devices.get(id) : undefined;
    if (speak) put('spoken', device ? `${device.id}: ${headline(device)}` : '');
    card.update(id, palette);
    if (id && narrow.matches) get('card').scrollIntoView({ block: 'nearest' });
  };

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
  get('relogin').addEventListener('click', () => {
    get('login').hidden = false;
    get('username').focus();
  });
  makeKey();

  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind === 'heard') {
      for (const message of data.messages) queue.push(message);
      return;
    }
    if (data.kind === 'refused') {
      controls.refused(data.reason);
      get('relogin').hidden = false;
      return;
    }
    online = data.kind === 'online';
    const banner = get('banner');
    banner.hidden = online;
    if (data.kind === 'online') {
      if (everOnline) site.note('online', 'Connected to the broker again');
      everOnline = true;
      delete banner.dataset['reason'];
      get('login').hidden = true;
      get('relogin').hidden = !loggedIn;
      return;
    }
    if (everOnline && banner.dataset['reason'] !== data.reason) site.note('offline', `Lost the broker: ${data.reason}`);
    banner.dataset['reason'] = data.reason;
    const then = data.denied ? 'Log in below.' : 'What is shown is the last that was heard; connecting again…';
    put('banner', `Not connected: ${data.reason}${/[.?]$/.test(data.reason) ? '' : '.'} ${then}`);
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
  let moving = false;
  const panels = (now: number): void => {
    panelsAt = now;
    site.journal.settle(now);
    put('site', site.name);
    put('title', site.facts?.title ?? '');
    showNow(site);
    moving = showBadge(site, online, site.stale(now), now);
    showLog(site.journal);
    controls.update(now, online);
    card.update(map.selected, palette);
    merit.draw(palette);
    charts.update();
    counts(site);
    cells(site);
    get('empty').hidden = site.devices.size > 0;
    const odd = site.malformed ? `, ${site.malformed} not understood` : '';
    put('traffic', `${heard.toLocaleString('en-GB')} messages heard${odd}. You are ${operator}.`);
  };
  const frame = (): void => {
    requestAnimationFrame(frame);
    const now = performance.now();
    take(BUDGET_MS);
    map.draw(now, moving);
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
