// The page of a device: its history, facts, partners, messages and reputation, over the whole window.

import uPlot from 'uplot';
import { clockText, eur, kwh, percent, plain } from '../../format';
import { hasBattery, type Device } from '../../model/devices';
import { TICK_MS } from '../../model/messages';
import type { Site } from '../../model/site';
import { startOf } from '../../model/tick-totals';
import { factsOf, tagsOf } from '../card';
import { ROLE_COLOUR, type Colours } from '../palette';
import { labelFont, rem } from '../text-size';
import { messageWords } from './message-words';

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const MESSAGES = 60;
const PARTNERS = 40;

export class DevicePage {
  private id: string | null = null;
  private plot: uPlot | null = null;
  private shown = '';
  private readonly dialog = get<HTMLDialogElement>('device-page');

  constructor(
    private readonly site: Site,
    private colours: Colours,
    private readonly select: (id: string) => void,
  ) {
    get('card-open').addEventListener('click', () => {
      const id = get('card').dataset['device'];
      if (id) this.open(id);
    });
    get('device-page-close').addEventListener('click', () => this.dialog.close());
    this.dialog.addEventListener('close', () => (this.id = null));
    this.dialog.addEventListener('click', (event) => {
      const id = (event.target as HTMLElement).dataset['device'];
      if (!id || !this.site.devices.get(id)) return;
      this.select(id);
      this.open(id);
    });
  }

  open(id: string): void {
    this.id = id;
    this.shown = '';
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    this.update(this.colours);
  }

  update(colours: Colours): void {
    const device = this.id ? this.site.devices.get(this.id) : undefined;
    if (!device) return;
    const { site } = this;
    const messages = site.trace.of(device.id, MESSAGES);
    const key = [device.id, site.tick?.tick, site.tick?.phase, device.state?.tick, device.online, messages[0]?.number, colours.ink].join();
    if (key === this.shown) return;
    this.shown = key;
    this.colours = colours;
    get('device-page-title').textContent = device.label && device.label !== device.id ? `${device.id} · ${device.label}` : device.id;
    fill('device-page-tags', tagsOf(site, device).map(([text, warn]) => element('span', text, warn ? 'warn' : '')));
    fill(
      'device-page-facts',
      factsOf(site, device).map(([name, value, title = '']) => {
        const row = element('div');
        row.append(element('dt', name), element('dd', value));
        if (title) row.title = title;
        return row;
      }),
    );
    this.showHistory(device);
    this.showPartners(device);
    get('device-page-no-messages').hidden = messages.length > 0;
    fill(
      'device-page-messages',
      messages.map((each) => {
        const row = element('li');
        row.append(element('b', `tick ${plain(each.tick + 1)}`), element('span', messageWords(each)));
        return row;
      }),
    );
    this.showReputation(device);
  }

  private showHistory(device: Device): void {
    const holder = get('device-page-history');
    const battery = hasBattery(device.role);
    const { tick } = this.site;
    const newest = device.state?.tick ?? 0;
    const startMs = tick ? startOf(tick) - tick.tick * TICK_MS : 0;
    const first = newest - device.history.length + 1;
    const x = device.history.map((_, index) => (startMs + (first + index) * TICK_MS) / 1000);
    const unit = battery ? 'State of charge, %' : 'Power, kW';
    get('device-page-unit').textContent = unit;
    this.plot?.destroy();
    this.plot = null;
    if (!x.length) return;
    const colour = this.colours[ROLE_COLOUR[device.role]];
    const axis: uPlot.Axis = { stroke: this.colours.muted, font: labelFont(), grid: { stroke: this.colours.grid, width: 1 }, ticks: { show: false } };
    this.plot = new uPlot(
      {
        width: Math.max(200, Math.floor(holder.clientWidth)),
        height: Math.round(13 * rem()),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
        scales: { y: { range: (_plot, low, high) => (battery ? [0, 100] : [Math.min(0, low ?? 0) * 1.05, Math.max(1, high ?? 1) * 1.08]) } },
        cursor: { y: false, drag: { x: true, y: false } },
        hooks: { setCursor: [showLast] },
        axes: [{ ...axis, grid: { show: false }, values: '{HH}:{mm}', size: 1.9 * rem() }, { ...axis, size: 3.2 * rem() }],
        series: [
          { label: 'time', value: (_plot, seconds) => (Number.isFinite(seconds) ? clockText(seconds * 1000) : '') },
          { label: unit, stroke: colour, width: 1.75, fill: `${colour}24`, points: { show: false }, value: (_plot, value) => plain(value ?? NaN, 1) },
        ],
      },
      [x, device.history.map((value) => (Number.isFinite(value) ? value : null))],
      holder,
    );
    showLast(this.plot);
  }

  private showPartners(device: Device): void {
    const trades = this.site.partners.of(device.id);
    get('device-page-no-partners').hidden = trades.length > 0;
    get('device-page-partners').hidden = !trades.length;
    const all = trades.reduce((sum, each) => sum + each.wh, 0);
    fill(
      'device-page-partner-rows',
      trades.slice(0, PARTNERS).map(({ seller, buyer, wh, neur, lastTick }) => {
        const sells = seller === device.id;
        const row = element('tr');
        const link = element('button', sells ? buyer : seller);
        link.setAttribute('type', 'button');
        link.dataset['device'] = link.textContent ?? '';
        const name = element('th');
        name.setAttribute('scope', 'row');
        name.append(link);
        row.append(name, element('td', sells ? 'buys' : 'sells'), element('td', kwh(wh)), element('td', percent(wh / all)), element('td', eur(neur)), element('td', `tick ${plain(lastTick + 1)}`));
        return row;
      }),
    );
  }

  private showReputation(device: Device): void {
    const { site } = this;
    const lines: string[] = [];
    const suspension = site.suspensionOf(device.id);
    if (suspension) {
      lines.push(`Suspended until tick ${plain(suspension.until_tick + 1)} for ${suspension.lie}. Evidence: ${suspension.evidence}`);
    }
    const avoids = device.state?.avoids ?? [];
    lines.push(avoids.length ? `Avoids ${avoids.join(', ')}: they broke promises.` : 'Avoids nobody.');
    const others = [...site.devices.all.values()].filter(({ state }) => state?.avoids.includes(device.id)).map((each) => each.id);
    lines.push(others.length ? `Avoided by ${others.slice(0, 20).join(', ')}${others.length > 20 ? ` and ${others.length - 20} more` : ''}.` : 'Avoided by nobody.');
    const ignored = Object.entries(device.state?.refused ?? {});
    lines.push(ignored.length ? `Has ignored messages: ${ignored.map(([reason, count]) => `${reason} × ${plain(count)}`).join(', ')}.` : 'Has ignored no message.');
    fill('device-page-reputation', lines.map((line) => element('li', line)));
  }
}

/** Without a pointer over the chart, its legend shows the newest figure. */
function showLast(plot: uPlot): void {
  if ((plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: plot.data[0].length - 1 });
}

function element(tag: string, text = '', name = ''): HTMLElement {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function fill(id: string, children: HTMLElement[]): void {
  get(id).replaceChildren(...children);
}
