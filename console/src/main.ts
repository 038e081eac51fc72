// Puts the parts together: messages go into the model within a time budget per frame, and views draw the model.

import type { Config, Early } from './boot';
import type { FromWorker, Login, ToWorker } from './connection';
import { plain } from './format';
import { controlTopic, topicFilters, type Publication } from './model/decoder';
import { Alarms } from './model/alarms';
import { openConnection, savedLogin, saveLogin } from './login';
import { publicationOf, type FromServer } from './model/history';
import { linkText, parseLink, type Link } from './model/link';
import { Site } from './model/site';
import { Drill, statusOf } from './model/status';
import { Stream } from './stream';
import { webSocketUrl } from './web-socket';
import { Card, headline } from './view/card';
import { Charts } from './view/charts/charts';
import { Controls } from './view/controls/controls';
import { buildKey, RoleLegend, showCells, showKey } from './view/legend';
import { MapView } from './view/map/map';
import { bindMap } from './view/map/pointer';
import { MarketView } from './view/market';
import { Explain } from './view/header/explain';
import { Now } from './view/header/now';
import { AlarmBar } from './view/header/alarm-bar';
import { showStatus } from './view/header/status-badge';
import { clearLog, put, showLog } from './view/panels';
import { DevicePage } from './view/device-page/device-page';
import { DevicesTable } from './view/devices-table';
import { Modes } from './view/modes';
import { RunEnd } from './view/run-end';
import { Search } from './view/search';
import { SymbolKey } from './view/symbol-key';
import { bindTheme, themeNow } from './view/theme';
import { Timeline } from './view/timeline';

/** A message to apply: at once, or where it does not say when it came. */
interface Queued {
  publication: Publication;
  /** Real time at the server, in ms. */
  ms?: number;
}

/** Time for messages in a frame, or in a turn of a hidden page; and the time between two updates of the panels. */
const BUDGET_MS = 6;
const HIDDEN_BUDGET_MS = 100;
const PANELS_MS = 200;
const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

function start(config: Config, early: Awaited<Early['stream']>): void {
  const site = new Site(config.site);
  Object.assign(globalThis, { gridfleetSite: site }); // for the browser's console, and for tests
  const queue: Queued[] = [];
  let processed = 0;
  let online = false;
  let everOnline = false;
  /** Whether controls reach the broker. */
  let canControl = false;
  /** This page's real time minus the server's, in ms. */
  let aheadMs = 0;
  let received = 0;
  let palette = themeNow();
  const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
  const narrowScreen = matchMedia('(max-width: 62rem)'); // the card is then below the map

  const ownName = identity();
  const clientId = `page-${random()}`; // for this page alone: a second client with the same id would disconnect it
  let operator = ownName;
  let loggedIn = false;
  let post: ((message: ToWorker) => void) | null = null;
  const filters = config.stream ? [] : topicFilters(site.name); // the stream has all messages already
  const connection = (): ((message: ToWorker) => void) => (post ??= openConnection(config.access === 'login', onWorker));
  const connect = (login: Login | null): void => {
    if (!config.ws_url) return;
    setUser(login?.username ?? null);
    saveLogin(login);
    const probe = login && controlTopic(site.name, 'access', operator);
    connection()({ kind: 'connect', url: webSocketUrl(config.ws_url), filters, clientId, login, probe });
  };
  const setUser = (username: string | null): void => {
    operator = username || ownName;
    loggedIn = username !== null;
    controls.setReadOnly(false);
  };

  const map = new MapView(get('map'), site, palette, () => reducedMotion.matches);
  const legend = new RoleLegend(map, site, palette);
  const charts = new Charts(get('charts'), site, palette);
  const market = new MarketView(get<HTMLCanvasElement>('merit'), get('market-caption'), site);
  const controls = new Controls(site, (setting, control) => {
    const topic = controlTopic(site.name, setting, operator);
    const run = site.tick === null ? {} : { epoch: site.tick.epoch };
    post?.({ kind: 'publish', topic, payload: JSON.stringify({ ...control, ...run }) });
  });
  const card = new Card(site, controls);
  const head = new Now();
  const explain = new Explain(site);
  const key = new SymbolKey(site, map, palette);
  const drill = new Drill();
  const alarms = new Alarms(site);
  const alarmBar = new AlarmBar(alarms, site.name, (words) => search.for(words));
  const select = (id: string | null, announce = true): void => {
    map.selected = id;
    const device = id ? site.devices.get(id) : undefined;
    if (announce) put('spoken', device ? `${device.id}: ${headline(device)}` : '');
    table.selected = id;
    card.update(id, palette);
    if (id && narrowScreen.matches) get('card').scrollIntoView({ block: 'nearest' });
    showLink();
  };
  const showLink = (): void => {
    const { live, tick } = site.viewing;
    const text = linkText({ tick: live ? null : tick, device: map.selected });
    if (text !== location.hash) history.replaceState(null, '', text || location.pathname);
  };

  put('access', config.access === 'open' ? `Broker ${config.broker}: open, no login needed.` : `Broker ${config.broker}: login required.`);
  bindMap(map, site, select);
  bindTheme(() => {
    palette = themeNow();
    map.recolour(palette);
    charts.recolour(palette);
    legend.recolour(palette);
    key.recolour(palette);
  });
  new Modes(
    () => {
      map.recolour(palette);
      charts.recolour(palette);
    },
    (isOpen) => explain.open(isOpen),
  );
  get('card-close').addEventListener('click', () => select(null));
  const table = new DevicesTable(site, select);
  const devicePage = new DevicePage(site, palette, select);
  const search = new Search(
    site,
    (query) => {
      table.query = query;
      table.update(performance.now(), true);
    },
    (id) => {
      select(id);
      get('card').scrollIntoView({ block: 'nearest' });
    },
  );
  get<HTMLSelectElement>('market-cell').addEventListener('change', (event) => {
    market.cell = (event.target as HTMLSelectElement).value;
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
  get('logout').addEventListener('click', () => {
    saveLogin(null);
    post?.({ kind: 'leave' });
  });
  buildKey();
  site.onReset(clearLog);

  const showBanner = (text: string): void => {
    get('banner').hidden = !text;
    put('banner', text);
  };
  /** Show what a link names; the tick arrives with a history of its own. */
  const follow = ({ tick, device }: Link): void => {
    if (tick !== null) timeline.show(tick);
    if (device !== null && site.devices.get(device)) select(device);
    else if (tick === null) showLink();
  };
  let wanted = parseLink(location.hash);
  const onServer = (message: FromServer): void => {
    switch (message.kind) {
      case 'history':
        queue.length = processed = 0;
        aheadMs = performance.now() - message.now;
        site.restore(message, aheadMs);
        timeline.arrived();
        follow(wanted);
        wanted = { tick: null, device: null };
        if (!post && config.access === 'open') connect(null);
        return;
      case 'messages':
        for (const line of message.messages) queue.push({ publication: publicationOf(line), ms: line[0] });
        return;
      case 'shown':
        processQueue(Infinity);
        site.viewing = { ...site.viewing, live: false, tick: message.at };
        site.showEndOf();
        timeline.arrived();
        return showLink();
      case 'run':
        site.runState = message;
        return;
    }
  };
  const stream = config.stream
    ? new Stream(webSocketUrl(config.stream), early, {
        message: onServer,
        online: (isOnline) => {
          online = isOnline;
          const isOver = site.run.finished || ['finished', 'stopped'].includes(site.runState?.state ?? '');
          showBanner(online || isOver ? '' : 'Not connected: the program that runs this site does not answer. The page shows the last data received. Reconnecting…');
        },
      })
    : null;
  const timeline = new Timeline(get('timeline'), site, (message) => stream?.send(message));
  const runEnd = new RunEnd(get('run-end'), () => stream?.send({ kind: 'again' }));
  addEventListener('hashchange', () => {
    const link = parseLink(location.hash);
    const isShown = link.tick === (site.viewing.live ? null : site.viewing.tick);
    follow(isShown ? { ...link, tick: null } : link);
  });

  function onWorker(data: FromWorker): void {
    switch (data.kind) {
      case 'messages':
        for (const publication of data.messages) queue.push({ publication });
        return;
      case 'publish failed':
        return controls.onDenied(data.reason);
      case 'joined':
        return setUser(data.username);
      case 'access':
        return controls.setReadOnly(!data.mayControl);
      case 'no login':
        get('login').hidden = false;
        return;
      default:
        onConnection(data);
    }
  }

  function onConnection(data: Extract<FromWorker, { kind: 'online' | 'offline' }>): void {
    canControl = data.kind === 'online';
    if (stream && !(data.kind === 'offline' && data.denied)) return;
    online = canControl;
    const banner = get('banner');
    const isOver = site.run.finished;
    banner.hidden = online || isOver;
    if (!online) site.history.noteGap();
    if (data.kind === 'online') {
      if (everOnline) site.log.add('online', 'Connected to the broker again');
      everOnline = true;
      delete banner.dataset['reason'];
      get('login').hidden = true;
      get('relogin').hidden = get('logout').hidden = !loggedIn;
      return;
    }
    if (data.denied) saveLogin(null);
    if (everOnline && banner.dataset['reason'] !== data.reason) site.log.add('offline', `Connection to the broker lost: ${data.reason}`);
    banner.dataset['reason'] = data.reason;
    const then = data.denied ? 'Log in below.' : 'The page shows the last data received. Reconnecting…';
    put('banner', `Not connected: ${data.reason}${/[.?]$/.test(data.reason) ? '' : '.'} ${then}`);
    get('login').hidden = !(data.denied || config.access === 'login');
  }

  const processQueue = (budgetMs: number): void => {
    const end = performance.now() + budgetMs;
    while (processed < queue.length) {
      const { publication, ms } = queue[processed++]!;
      site.receive(publication, ms === undefined ? performance.now() : ms + aheadMs);
      if ((processed & 15) === 0 && performance.now() > end) break;
    }
    received += processed === queue.length ? processed : 0;
    if (processed === queue.length) queue.length = processed = 0;
  };

  let panelsAt = 0;
  let moving = false;
  const updatePanels = (now: number): void => {
    panelsAt = now;
    site.log.flush(now);
    put('site', site.name);
    put('title', site.facts?.title ?? '');
    head.show(site);
    explain.update();
    key.update();
    drill.update(site.run, now);
    const status = statusOf(site, online, drill, now);
    moving = status.live;
    showStatus(status, site.name);
    alarmBar.update(online ? alarms.update(now, drill) : []);
    showLog(site.log);
    controls.update(now, canControl && site.viewing.live);
    runEnd.show(site.runState, online);
    timeline.update(site.runState, site.viewing);
    card.update(map.selected, palette);
    table.update(now);
    devicePage.update(palette);
    market.draw(palette);
    charts.update();
    legend.update();
    showKey(site);
    showCells(site);
    get('empty').hidden = site.devices.all.size > 0;
    const { malformed, schema, sender } = site.rejected;
    const ignored = [malformed && `${plain(malformed)} malformed`, schema && `${plain(schema)} of another schema version`, sender && `${plain(sender)} not for its sender to publish`];
    put('traffic', `${[`${plain(received)} messages received`, ...ignored.filter(Boolean)].join(', ')}. You are ${operator}.`);
  };
  const frame = (): void => {
    requestAnimationFrame(frame);
    const now = performance.now();
    processQueue(BUDGET_MS);
    map.draw(now, moving);
    if (now - panelsAt > PANELS_MS) updatePanels(now);
  };
  requestAnimationFrame(frame);
  setInterval(() => {
    if (document.hidden) processQueue(HIDDEN_BUDGET_MS);
  }, 250);
  if (config.access === 'login') {
    const saved = savedLogin();
    if (saved) connect(saved);
    else connection()({ kind: 'join' });
  } else if (!stream) connect(null);
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

// --- start -----------------------------------------------------------------------------------------

export async function load({ config, stream }: Early): Promise<void> {
  try {
    start(await config, await stream);
  } catch (error) {
    get('banner').hidden = false;
    put('banner', `The console cannot start: ${error instanceof Error ? error.message : String(error)}`);
  }
}
