// What is known of one device.

import { clockText, dayText, eur, kw, kwh, percent, plain } from './format';
import { fill, type Device, type Site } from './model';
import { KIND_TONE, type Colours } from './palette';

const get = (id: string): HTMLElement => document.getElementById(id)!;

export class Card {
  private facts = new Map<string, HTMLElement>();
  private shownFor = '';

  constructor(private readonly site: Site) {}

  update(id: string | null, colours: Colours): void {
    const panel = get('card');
    const device = id ? this.site.devices.get(id) : undefined;
    panel.hidden = !device;
    if (!device) {
      this.shownFor = '';
      return;
    }
    if (this.shownFor !== device.id) {
      this.shownFor = device.id;
      this.facts.clear();
      get('card-facts').replaceChildren();
    }
    get('card-title').textContent = device.label && device.label !== device.id ? `${device.id} · ${device.label}` : device.id;
    this.tags(device);
    for (const [name, value] of factsOf(device)) this.fact(name, value);
    this.history(device, colours);
  }

  private tags(device: Device): void {
    const state = device.state;
    const tags: [string, boolean][] = [[device.kind, false]];
    if (state) tags.push([state.status, state.status === 'short' || state.status === 'stranded']);
    tags.push(device.online ? ['online', false] : ['offline', true]);
    if (device.via) tags.push([`via ${device.via}`, false]);
    if (state) tags.push([state.measured ? 'measured' : 'simulated', false]);
    if (device.online && this.site.old(device)) tags.push([`last heard in tick ${(state?.tick ?? 0) + 1}`, true]);
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

  private fact(name: string, value: string): void {
    let holder = this.facts.get(name);
    if (!holder) {
      const row = document.createElement('div');
      const term = document.createElement('dt');
      term.textContent = name;
      holder = document.createElement('dd');
      row.append(term, holder);
      get('card-facts').append(row);
      this.facts.set(name, holder);
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
    pen.strokeStyle = pen.fillStyle = colours[KIND_TONE[device.kind]];
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
    get('card-caption').textContent = `${what} over the last ${values.length} ticks heard, ${ends}`;
  }
}

/** One line for the tooltip and for the voice. */
export function headline(device: Device): string {
  const state = device.state;
  if (!device.online) return `${device.kind}, offline`;
  if (!state) return `${device.kind}, nothing heard yet`;
  const of = state.figures;
  switch (device.kind) {
    case 'charger': {
      const free = (of['ports'] ?? 0) - (of['ports_reserved'] ?? 0);
      return `charger, ${percent(fill(state))} full, ${plain(free)} of ${plain(of['ports'] ?? 0)} ports free`;
    }
    case 'vehicle':
      return `vehicle, ${percent(fill(state))}, ${state.status}${state.charger ? ` → ${state.charger}` : ''}`;
    case 'consumer':
      return `consumer, ${kw(-state.powerW)}, ${state.status}`;
    default:
      return `${device.kind}, ${kw(state.powerW)}, ${state.status}`;
  }
}

function factsOf(device: Device): [string, string][] {
  const state = device.state;
  const place: [string, string] = ['Cell', device.cell || '–'];
  if (!state) return [place];
  const of = (name: string): number => state.figures[name] ?? NaN;
  const money: [string, string] = ['Balance', eur(state.balanceNeur)];
  let refused = 0;
  for (const count of state.refused.values()) refused += count;
  const common: [string, string][] = [
    money,
    place,
    ['Tick of this account', plain(state.tick + 1)],
    ['Messages refused', refused ? `${plain(refused)} (${[...state.refused.keys()].slice(0, 4).join(', ')})` : 'none'],
  ];
  switch (device.kind) {
    case 'turbine':
    case 'reactor':
      return [
        ['Power', kw(state.powerW)],
        ['Generated', kwh(of('generated_wh'))],
        ['Sold', kwh(of('sold_wh'))],
        ['Curtailed', kwh(of('curtailed_wh'))],
        ['Earned this tick', eur(of('earned_neur'))],
        ...common,
      ];
    case 'consumer':
      return [
        ['Demand', kwh(of('demand_wh'))],
        ['Bought', kwh(of('bought_wh'))],
        ['Paid this tick', eur(of('paid_neur'))],
        ...common,
      ];
    case 'charger':
      return [
        ['Stored', `${kwh(of('stored_wh'))} (${percent(fill(state))})`],
        ['Capacity', kwh(of('capacity_wh'))],
        ['Ports reserved', `${plain(of('ports_reserved'))} of ${plain(of('ports'))}`],
        ['Bought', kwh(of('bought_wh'))],
        ['Delivered', kwh(of('delivered_wh'))],
        ['Earned this tick', eur(of('earned_neur'))],
        ...common,
      ];
    case 'vehicle': {
      const due = of('deadline_ms');
      return [
        ['Model', state.model || '–'],
        ['State of charge', `${percent(fill(state))} of ${kwh(of('capacity_wh'))}`],
        ['Speed', `${plain(of('speed_km_h'))} km/h`],
        ['Consumption', `${plain(of('consumption_wh_per_km') / 10, 1)} kWh/100 km`],
        ['Reserved at', state.charger ?? '–'],
        ['Goes to', aim(state.nextStop ?? state.destination)],
        ['80 % by', Number.isFinite(due) ? `${dayText(due)} ${clockText(due)}` : '–'],
        ['Paid this tick', eur(of('paid_neur'))],
        ...common,
      ];
    }
  }
}

function aim(place: readonly [number, number] | null): string {
  return place ? `${place[0].toFixed(2)}° N, ${place[1].toFixed(2)}° E` : '–';
}
