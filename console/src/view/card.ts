// The card of the selected device.

import { clockText, dayText, eur, kw, kwh, percent, plain } from '../format';
import type { Controls } from './controls';
import { outOfService, stateOfCharge, type Device, type DeviceState } from '../model/devices';
import type { Site } from '../model/site';
import { KIND_COLOUR, type Colours } from './palette';

const get = (id: string): HTMLElement => document.getElementById(id)!;

export class Card {
  private readonly rows = new Map<string, HTMLElement>();
  private shownFor = '';
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
    if (!device) {
      this.shownFor = '';
      return;
    }
    if (this.shownFor !== device.id) {
      this.shownFor = device.id;
      this.rows.clear();
      get('card-rows').replaceChildren();
    }
    get('card-title').textContent = device.label && device.label !== device.id ? `${device.id} · ${device.label}` : device.id;
    this.tags(device);
    for (const [name, value] of [...figuresOf(device), ...this.reputation(device)]) this.setRow(name, value);
    this.history(device, colours);
    this.service.hidden = device.kind !== 'charger';
    this.service.disabled = !this.controls.mayToggle(device);
    const text = this.controls.isNamedOut(device.id) ? 'Put back into service' : 'Take out of service';
    if (this.service.textContent !== text) this.service.textContent = text;
  }

  /** Which chargers a vehicle avoids, or how many vehicles avoid a charger. */
  private reputation(device: Device): [string, string][] {
    if (device.kind === 'vehicle') {
      const avoids = device.state?.kind === 'vehicle' ? device.state.avoids : [];
      return [['Avoids', avoids.length ? avoids.join(', ') : 'no charger']];
    }
    if (device.kind !== 'charger') return [];
    let vehicles = 0;
    for (const { state } of this.site.devices.all.values()) {
      if (state?.kind === 'vehicle' && state.avoids.includes(device.id)) vehicles += 1;
    }
    return [['Avoided by', vehicles ? `${plain(vehicles)} ${vehicles === 1 ? 'vehicle' : 'vehicles'}` : 'no vehicle']];
  }

  private tags(device: Device): void {
    const state = device.state;
    const tags: [string, boolean][] = [[device.kind, false]];
    if (state) tags.push([state.status, state.status === 'short' || state.status === 'stranded' || outOfService(device)]);
    tags.push(device.online ? ['online', false] : ['offline', true]);
    if (device.via) tags.push([`via ${device.via}`, false]);
    if (state) tags.push([state.measured ? 'measured' : 'simulated', false]);
    if (device.online && this.site.isOutdated(device)) tags.push([`last report: tick ${(state?.tick ?? 0) + 1}`, true]);
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

  private setRow(name: string, value: string): void {
    let holder = this.rows.get(name);
    if (!holder) {
      const row = document.createElement('div');
      const term = document.createElement('dt');
      term.textContent = name;
      holder = document.createElement('dd');
      row.append(term, holder);
      get('card-rows').append(row);
      this.rows.set(name, holder);
    }
    if (holder.textContent !== value) holder.textContent = value;
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
    const battery = device.kind === 'charger' || device.kind === 'vehicle';
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
    pen.strokeStyle = pen.fillStyle = colours[KIND_COLOUR[device.kind]];
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

/** One line for the tooltip and for screen readers. */
export function headline(device: Device): string {
  const state = device.state;
  if (!device.online) return `${device.kind}, offline`;
  if (!state) return `${device.kind}, no report yet`;
  switch (state.kind) {
    case 'charger': {
      const free = state.ports - state.ports_reserved;
      return `charger, ${percent(stateOfCharge(state))} full, ${plain(free)} of ${plain(state.ports)} ports free`;
    }
    case 'vehicle':
      return `vehicle, ${percent(stateOfCharge(state))}, ${state.status}${state.charger ? ` → ${state.charger}` : ''}`;
    case 'consumer':
      return `consumer, ${kw(-state.power_w)}, ${state.status}`;
    default:
      return `${state.kind}, ${kw(state.power_w)}, ${state.status}`;
  }
}

function figuresOf(device: Device): [string, string][] {
  const state = device.state;
  const cell: [string, string] = ['Cell', device.cell || '–'];
  if (!state) return [cell];
  const ignored = Object.entries(state.refused);
  const count = ignored.reduce((sum, [, each]) => sum + each, 0);
  return [
    ...figuresOfKind(state),
    ['Balance', eur(state.balance_neur)],
    cell,
    ['Reported for tick', plain(state.tick + 1)],
    ['Messages ignored', count ? `${plain(count)} (${ignored.slice(0, 4).map(([reason]) => reason).join(', ')})` : 'none'],
  ];
}

/** The figures that only devices of this kind have. */
function figuresOfKind(state: DeviceState): [string, string][] {
  switch (state.kind) {
    case 'turbine':
    case 'reactor':
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
