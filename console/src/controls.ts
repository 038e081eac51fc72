// The controls: each is a retained wish to the clock, and counts as done only when the clock says that it is in force.

import { setting, wish as inWords } from './format';
import { outOfService, type Device, type Site } from './model';
import { SCALES, type ClockState, type Value } from './wire';

export type Send = (setting: string, value: Value, revision: number) => void;

interface Wish {
  name: string;
  value: Value;
  revision: number;
  at: number;
  refusedBefore: number;
}

const PATIENCE_MS = 6_000;
const LONGEST_WORDS = 64;
/** What happens once, and so is in force for nobody to see. */
const ONCE: ReadonlySet<string> = new Set(['storm', 'outage_s', 'step']);
const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

export class Controls {
  private readonly wishes = new Map<string, Wish>();
  private readonly steering = get<HTMLFieldSetElement>('steering');
  private readonly pause = get<HTMLButtonElement>('pause');
  private readonly answer = get('answer');
  private readonly mode = get<HTMLSelectElement>('mode');
  private readonly seconds = get<HTMLInputElement>('seconds');
  private readonly ticks = get<HTMLInputElement>('ticks');
  private readonly algorithm = get<HTMLSelectElement>('algorithm');
  private readonly out = get<HTMLInputElement>('chargers-out');
  private readonly sliders = new Map<string, [HTMLInputElement, HTMLOutputElement]>();
  private sent = 0;

  constructor(
    private readonly site: Site,
    private readonly send: Send,
  ) {
    this.makeSliders();
    this.pause.addEventListener('click', () => this.wish('paused', !this.paused));
    get('step').addEventListener('click', () => this.wish('step', 1));
    get('storm').addEventListener('click', () => this.wish('storm', true));
    get('damage').addEventListener('click', () => this.wish('turbine_scale', 0));
    get('calm').addEventListener('click', () => this.wish('storm', false));
    get('outage').addEventListener('click', () => this.wish('outage_s', Number(get<HTMLSelectElement>('outage-s').value)));
    get('all-in').addEventListener('click', () => this.wish('chargers_out', ''));
    this.out.addEventListener('change', () => this.wish('chargers_out', this.out.value.trim()));
    this.mode.addEventListener('change', () => this.wish('mode', this.mode.value));
    this.algorithm.addEventListener('change', () => this.wish('algorithm', this.algorithm.value));
    this.seconds.addEventListener('change', () => this.wishNumber('seconds_per_tick', this.seconds));
    this.ticks.addEventListener('change', () => this.wishNumber('ticks', this.ticks));
  }

  private get paused(): boolean {
    return this.site.tick?.paused ?? this.site.clock?.paused ?? false; // the tick is said anew at every pause
  }

  /** The words by which chargers are out of service now. */
  private get outWords(): string[] {
    return (this.site.tick?.settings.chargers_out ?? '').split(/[,\s]+/).filter(Boolean);
  }

  /** Whether a charger is out of service by its own name, and not by a share or its cell. */
  namedOut(id: string): boolean {
    return this.outWords.includes(id);
  }

  /** Whether it is in our hands to take this charger out of service, or to put it back. */
  mayToggle(device: Device): boolean {
    return !this.steering.disabled && (this.namedOut(device.id) || !outOfService(device));
  }

  toggleCharger(id: string): void {
    const others = this.outWords.filter((each) => each !== id);
    const words = (others.length < this.outWords.length ? others : [...others, id]).join(',');
    if (words.length <= LONGEST_WORDS) this.wish('chargers_out', words);
    else this.say('bad', 'So many chargers cannot be named one by one: take a share such as 25%, a cell, or all');
  }

  private makeSliders(): void {
    const parent = get('scales');
    for (const name of SCALES) {
      const label = document.createElement('label');
      label.htmlFor = `scale-${name}`;
      label.textContent = { consumer_scale: 'Consumers', vehicle_scale: 'Driving', turbine_scale: 'Turbines', wind_scale: 'Wind speed' }[name];
      const input = document.createElement('input');
      input.id = label.htmlFor;
      input.type = 'range';
      input.min = '0';
      input.max = name === 'wind_scale' ? '5' : '2';
      input.step = '0.01';
      const output = document.createElement('output');
      output.htmlFor.add(input.id);
      input.addEventListener('input', () => this.showScale(input, output));
      input.addEventListener('change', () => this.wish(name, Number(input.value)));
      parent.append(label, input, output);
      this.sliders.set(name, [input, output]);
    }
  }

  private showScale(input: HTMLInputElement, output: HTMLOutputElement): void {
    output.textContent = `× ${Number(input.value).toFixed(2).replace(/0$/, '')}`;
    input.setAttribute('aria-valuetext', `times ${input.value}`);
  }

  private wishNumber(name: string, input: HTMLInputElement): void {
    if (input.value !== '' && input.checkValidity()) this.wish(name, Number(input.value));
    else this.say('bad', `${setting(name)}: from ${input.min} to ${input.max}`);
  }

  private wish(name: string, value: Value): void {
    this.sent = Math.max(this.sent, this.site.revision) + 1;
    const refusedBefore = this.site.clock?.refused.get('control') ?? 0;
    this.wishes.set(name, { name, value, revision: this.sent, at: performance.now(), refusedBefore });
    this.say('', `Asked for ${inWords(name, value)} …`);
    this.send(name, value, this.sent);
  }

  /** The broker did not let a wish through. */
  refused(reason: string): void {
    this.wishes.clear();
    this.say('bad', `The broker refused it: ${reason}. Steering takes an operator's login.`);
  }

  /** Compare what was asked for with what the clock has in force, and show the latter. */
  update(nowMs: number, online: boolean): void {
    const { clock, tick } = this.site;
    this.steering.disabled = !online || !tick || clock?.status === 'finished';
    for (const wish of [...this.wishes.values()]) {
      if (clock && clock.revision >= wish.revision && shows(clock, wish)) {
        this.wishes.delete(wish.name);
        this.say('good', `${ONCE.has(wish.name) ? 'Taken' : 'In force'}: ${inWords(wish.name, wish.value)}`);
      } else if (clock && (clock.refused.get('control') ?? 0) > wish.refusedBefore) {
        this.wishes.delete(wish.name);
        this.say('bad', `The clock refused ${inWords(wish.name, wish.value)}`);
      } else if (nowMs - wish.at > PATIENCE_MS) {
        this.wishes.delete(wish.name);
        this.say('bad', `Not taken: ${inWords(wish.name, wish.value)}. No answer from the clock: have you the right to steer?`);
      }
    }
    if (!tick) return;
    this.pause.textContent = this.paused ? 'Resume' : 'Pause';
    this.show(this.mode, 'mode', clock?.mode ?? tick.mode);
    const seconds = clock?.secondsPerTick || tick.secondsPerTick;
    this.show(this.seconds, 'seconds_per_tick', seconds ? String(seconds) : '');
    this.show(this.ticks, 'ticks', String(clock?.ticks ?? tick.tick + 1 + tick.ticksLeft));
    const settings = clock?.settings ?? tick.settings;
    this.show(this.algorithm, 'algorithm', settings.algorithm);
    this.show(this.out, 'chargers_out', settings.chargers_out);
    this.suggest();
    for (const name of SCALES) {
      const [input, output] = this.sliders.get(name)!;
      this.show(input, name, String(settings[name]));
      if (document.activeElement !== input || !this.wishes.has(name)) this.showScale(input, output);
    }
  }

  /** Offer cells and shares where words for chargers are typed; chargers are best clicked on the map. */
  private suggest(): void {
    const cells = this.site.cells.length > 1 ? this.site.cells.slice(0, 50).map((each) => each.name) : [];
    const words = ['25%', '50%', 'all', ...cells];
    const list = get<HTMLDataListElement>('out-words');
    if (list.children.length === words.length) return;
    list.replaceChildren(...words.map((word) => new Option(word, word)));
  }

  /** Set a field to what is in force, unless somebody is at it or an answer is awaited. */
  private show(field: HTMLInputElement | HTMLSelectElement, name: string, value: string): void {
    const busy = this.wishes.has(name) || (document.activeElement === field && field.matches('[type=number], [type=text], :active'));
    if (!busy && field.value !== value) field.value = value;
  }

  private say(state: '' | 'good' | 'bad', text: string): void {
    this.answer.dataset['state'] = state;
    this.answer.textContent = text;
  }
}

function shows(clock: ClockState, { name, value }: Wish): boolean {
  const shown: Record<string, Value | undefined> = { ...clock.settings, paused: clock.paused, mode: clock.mode };
  return ONCE.has(name) || !(name in shown) || shown[name] === value;
}
