// The controls: each is a retained wish to the clock, and counts as done only when the clock says that it is in force.

import { setting } from './format';
import type { Site } from './model';
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
  private readonly sliders = new Map<string, [HTMLInputElement, HTMLOutputElement]>();
  private sent = 0;

  constructor(
    private readonly site: Site,
    private readonly send: Send,
  ) {
    this.makeSliders();
    this.pause.addEventListener('click', () => this.wish('paused', !this.paused));
    get('step').addEventListener('click', () => this.wish('step', 1));
    get('gale').addEventListener('click', () => this.wish('wind_scale', 2));
    get('damage').addEventListener('click', () => this.wish('turbine_scale', 0));
    get('calm').addEventListener('click', () => {
      this.wish('wind_scale', this.site.initial?.wind_scale ?? 1);
      this.wish('turbine_scale', this.site.initial?.turbine_scale ?? 1);
    });
    this.mode.addEventListener('change', () => this.wish('mode', this.mode.value));
    this.algorithm.addEventListener('change', () => this.wish('algorithm', this.algorithm.value));
    this.seconds.addEventListener('change', () => this.wishNumber('seconds_per_tick', this.seconds));
    this.ticks.addEventListener('change', () => this.wishNumber('ticks', this.ticks));
  }

  private get paused(): boolean {
    return this.site.tick?.paused ?? this.site.clock?.paused ?? false; // the tick is said anew at every pause
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
      input.step = '0.05';
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
    this.say('', `Asked for ${setting(name)} = ${String(value)} …`);
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
        this.say('good', `In force: ${setting(wish.name)} = ${String(wish.value)}`);
      } else if (clock && (clock.refused.get('control') ?? 0) > wish.refusedBefore) {
        this.wishes.delete(wish.name);
        this.say('bad', `The clock refused ${setting(wish.name)} = ${String(wish.value)}`);
      } else if (nowMs - wish.at > PATIENCE_MS) {
        this.wishes.delete(wish.name);
        this.say('bad', `${setting(wish.name)} was not taken: no answer from the clock. Have you the right to steer?`);
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
    for (const name of SCALES) {
      const [input, output] = this.sliders.get(name)!;
      this.show(input, name, String(settings[name]));
      if (document.activeElement !== input || !this.wishes.has(name)) this.showScale(input, output);
    }
  }

  /** Set a field to what is in force, unless somebody is at it or an answer is awaited. */
  private show(field: HTMLInputElement | HTMLSelectElement, name: string, value: string): void {
    const busy = this.wishes.has(name) || (document.activeElement === field && field.matches('[type=number], :active'));
    if (!busy && field.value !== value) field.value = value;
  }

  private say(state: '' | 'good' | 'bad', text: string): void {
    this.answer.dataset['state'] = state;
    this.answer.textContent = text;
  }
}

function shows(clock: ClockState, { name, value }: Wish): boolean {
  const shown: Record<string, Value | undefined> = { ...clock.settings, paused: clock.paused, mode: clock.mode };
  return !(name in shown) || shown[name] === value;
}
