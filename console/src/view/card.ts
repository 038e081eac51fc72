// The card of the selected device.

import { clockText, dayText, eur, figure, kw, kwh, percent, plain } from '../format';
import type { Controls } from './controls/controls';
import { hasBattery, isShort, outOfService, stateOfCharge, type Device, type DeviceState } from '../model/devices';
import { placeName } from '../model/places';
import type { Site } from '../model/site';
import { ROLE_COLOUR, type Colours } from './palette';
import { ROLE_NAME } from './roles';

const get = (id: string): HTMLElement => document.getElementById(id)!;

/** Name, value and, where there is one, what it means. */
export type Row = readonly [name: string, value: string, title?: string];

export class Card {
  private readonly values: HTMLElement[] = [];
  private rowsFor = '';
  private shown: Device | null = null;
  private readonly service = get('card-service') as HTMLButtonElement;

  constructor(
    private readonly site: Site,
    private readonly controls: Controls,
  ) {
    this.service.addEventListener('click', () => {
      if (this.shown) controls.toggleCharger(this.shown.id);
    });
  }

  update(id: string | null, colours: Colours): void {
    const panel = get('card');
    const device = id ? this.site.devices.get(id) : undefined;
    panel.hidden = !device;
    this.shown = device ?? null;
    panel.dataset['device'] = device?.id ?? '';
    if (!device) return;
    get('card-title').textContent = device.label && device.label !== device.id ? `${device.id} · ${device.label}` : device.id;
    this.tags(device);
    this.setRows(factsOf(this.site, device));
    this.history(device, colours);
    this.service.hidden = device.role !== 'charger';
    this.service.disabled = !this.controls.mayToggle(device);
    const text = this.controls.isNamedOut(device.id) ? 'Put back into service' : 'Take out of service';
    if (this.service.textContent !== text) this.service.textContent = text;
  }

  private tags(device: Device): void {
    const tags = tagsOf(this.site, device);
    const holder = get('card-tags');
    const key = JSON.stringify(tags);
    if (holder.dataset['key'] === key) return;
    holder.dataset['key'] = key;
    holder.replaceChildren(
      ...tags.map(([text, warn]) => {
        const tag = document.createElement('span');
        tag.textContent = text;
        if (warn) tag.className = 'warn';
        return tag;
      }),
    );
  }

  /** Show rows of name and value; the elements stay until other rows are to be shown. */
  private setRows(rows: readonly Row[]): void {
    const key = JSON.stringify(rows.map(([name, , title]) => [name, title]));
    if (key !== this.rowsFor) {
      this.rowsFor = key;
      this.values.length = 0;
      get('card-rows').replaceChildren(
        ...rows.map(([name, , title = '']) => {
          const row = document.createElement('div');
          const [term, value] = [document.createElement('dt'), document.createElement('dd')];
          term.textContent = name;
          if (title) row.title = title;
          row.append(term, value);
          this.values.push(value);
          return row;
        }),
      );
    }
    rows.forEach(([, value], index) => {
      const holder = this.values[index]!;
      if (holder.textContent !== value) holder.textContent = value;
    });
  }

  private history(device: Device, colours: Colours): void {
    const canvas = get('card-history') as HTMLCanvasElement;
    const { width, height } = canvas.getBoundingClientRect();
    if (!width) return;
    const density = Math.min(window.devicePixelRatio || 1, 2);
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    const pen = canvas.getContext('2d')!;
    pen.scale(density, density);
    const battery = hasBattery(device.role);
    const values = device.history.filter(Number.isFinite);
    const low = battery ? 0 : Math.min(0, ...values);
    const high = battery ? 100 : Math.max(0, ...values, low + 1);
    const x = (index: number): number => (index / Math.max(values.length - 1, 1)) * (width - 2) + 1;
    const y = (value: number): number => height - 3 - ((value - low) / (high - low)) * (height - 6);
    pen.strokeStyle = colours.grid;
    pen.beginPath();
    pen.moveTo(0, y(0));
    pen.lineTo(width, y(0));
    pen.stroke();
    pen.strokeStyle = pen.fillStyle = colours[ROLE_COLOUR[device.role]];
    pen.lineWidth = 1.75;
    pen.beginPath();
    values.forEach((value, index) => (index ? pen.lineTo(x(index), y(value)) : pen.moveTo(x(0), y(value))));
    pen.stroke();
    if (values.length > 1) {
      pen.lineTo(x(values.length - 1), y(0));
      pen.lineTo(x(0), y(0));
      pen.globalAlpha = 0.14;
      pen.fill();
    }
    const what = battery ? 'State of charge' : 'Power';
    const ends = battery ? '0 to 100 %' : `${plain(low)} to ${plain(high)} kW`;
    get('card-caption').textContent = `${what} over the last ${values.length} ticks, scale ${ends}`;
  }
}

/** What a device is and how it is, in a few words each; the second says whether it is a warning. */
export function tagsOf(site: Site, device: Device): [string, boolean][] {
  const state = device.state;
  const role = ROLE_NAME[device.role];
  const tags: [string, boolean][] = [[device.kind, false]];
  if (role !== device.kind) tags.push([role, false]);
  if (state) tags.push([state.status, isShort(state) || state.status === 'stranded' || outOfService(device)]);
  tags.push(device.online ? ['online', false] : ['offline', true]);
  if (device.via) tags.push([`via ${device.via}`, false]);
  if (state) tags.push([state.measured ? 'measured' : 'simulated', false]);
  const suspension = site.suspensionOf(device.id);
  if (suspension) tags.push([`suspended until tick ${suspension.until_tick + 1}: ${suspension.lie}`, true]);
  if (device.online && site.isOutdated(device)) tags.push([`last report: tick ${(state?.tick ?? 0) + 1}`, true]);
  return tags;
}

/** All facts of a device: its own figures first. */
export function factsOf(site: Site, device: Device): Row[] {
  return [...ownFigures(device), ...rowsOf(device), ...reputation(site, device)];
}

/** Which devices a device avoids because of what they did, and how many devices avoid it. */
function reputation(site: Site, device: Device): Row[] {
  const avoids = device.state?.avoids ?? [];
  let others = 0;
  for (const { state } of site.devices.all.values()) if (state?.avoids.includes(device.id)) others += 1;
  const rows: Row[] = device.role === 'vehicle' || avoids.length ? [['Avoids', avoids.length ? avoids.join(', ') : 'nobody']] : [];
  if (device.role === 'charger' || others) {
    rows.push(['Avoided by', others ? `${plain(others)} ${others === 1 ? 'device' : 'devices'}` : 'nobody']);
}
  return rows;
}

/** One line for the tooltip and for screen readers. */
export function headline(device: Device): string {
  const { kind, state } = device;
  if (!device.online) return `${kind}, offline`;
  if (!state) return `${kind}, no report yet`;
  switch (state.role) {
    case 'charger': {
      const free = state.ports - state.ports_reserved;
      return `${kind}, ${percent(stateOfCharge(state))} full, ${plain(free)} of ${plain(state.ports)} ports free`;
    }
    case 'vehicle':
      return `${kind}, ${percent(stateOfCharge(state))}, ${state.status}${state.charger ? ` → ${state.charger}` : ''}`;
    case 'storage':
      return `${kind}, ${percent(stateOfCharge(state))} full, ${kw(state.power_w)}, ${state.status}`;
    case 'consumer':
      return `${kind}, ${kw(-state.power_w)}, ${state.status}`;
    default:
      return `${kind}, ${kw(state.power_w)}, ${state.status}`;
  }
}

/** The figures that only this device has, as its birth message describes them; then any that it does not describe. */
function ownFigures({ figures, state }: Device): Row[] {
  const reported = state?.figures ?? {};
  const described = new Set(figures.map((each) => each.name));
  const others = Object.keys(reported).filter((name) => !described.has(name));
  return [
    ...figures.map(({ name, unit, description }): Row => [name, figure(reported[name], unit), description]),
    ...others.map((name): Row => [name, figure(reported[name], '')]),
  ];
}

function rowsOf(device: Device): Row[] {
  const state = device.state;
  const near = placeName(device.latitude, device.longitude);
  const cell: Row = ['Cell', device.cell || '–'];
  const place: Row[] = near ? [['Place', near]] : [];
  if (!state) return [cell, ...place];
  const ignored = Object.entries(state.refused);
  const count = ignored.reduce((sum, [, each]) => sum + each, 0);
  return [
    ...rowsOfRole(state),
    ['Balance', eur(state.balance_neur)],
    cell,
    ...place,
    ['Reported for tick', plain(state.tick + 1)],
    ['Messages ignored', count ? `${plain(count)} (${ignored.slice(0, 4).map(([reason]) => reason).join(', ')})` : 'none'],
  ];
}

/** What all devices of a role report. */
function rowsOfRole(state: DeviceState): Row[] {
  switch (state.role) {
    case 'producer':
    case 'grid-supply':
      return [
        ['Power', kw(state.power_w)],
        ['Generated', kwh(state.generated_wh)],
        ['Sold', kwh(state.sold_wh)],
        ['Curtailed', kwh(state.curtailed_wh)],
        ['Earned this tick', eur(state.earned_neur)],
      ];
    case 'consumer':
      return [
        ['Demand', kwh(state.demand_wh)],
        ['Bought', kwh(state.bought_wh)],
        ['Paid this tick', eur(state.paid_neur)],
      ];
    case 'storage':
      return [
        ['Stored', `${kwh(state.stored_wh)} (${percent(stateOfCharge(state))})`],
        ['Capacity', kwh(state.capacity_wh)],
        ['Power', kw(state.power_w)],
        ['Demand', kwh(state.demand_wh)],
        ['Bought', kwh(state.bought_wh)],
        ['Offered', kwh(state.announced_wh)],
        ['Sold', kwh(state.sold_wh)],
        ['Lost', kwh(state.charge_loss_wh + state.discharge_loss_wh)],
        ['Paid this tick', eur(state.paid_neur)],
        ['Earned this tick', eur(state.earned_neur)],
      ];
    case 'charger':
      return [
        ['Stored', `${kwh(state.stored_wh)} (${percent(stateOfCharge(state))})`],
        ['Capacity', kwh(state.capacity_wh)],
        ['Ports reserved', `${plain(state.ports_reserved)} of ${plain(state.ports)}`],
        ['Bought', kwh(state.bought_wh)],
        ['Delivered', kwh(state.delivered_wh)],
        ['Earned this tick', eur(state.earned_neur)],
      ];
    case 'vehicle':
      return [
        ['Model', state.model || '–'],
        ['State of charge', `${percent(stateOfCharge(state))} of ${kwh(state.capacity_wh)}`],
        ['Speed', `${plain(state.speed_km_h)} km/h`],
        ['Consumption', `${plain(state.consumption_wh_per_km / 10, 1)} kWh/100 km`],
        ['Charger reserved', state.charger ?? 'none'],
        ['Destination', position(state.next_stop ?? state.destination)],
        ['Arrival due', `${dayText(state.deadline_ms)} ${clockText(state.deadline_ms)}`],
        ['Paid this tick', eur(state.paid_neur)],
      ];
  }
}

function position(place: readonly [number, number] | null): string {
  return place ? `${plain(place[0], 2)}° N, ${plain(place[1], 2)}° E` : '–';
}
