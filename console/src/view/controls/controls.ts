// The controls: each publishes a retained control message, and is done when the clock reports that it is in effect.

import { outOfService, type Device } from '../../model/devices';
import { describeControl, SCALES, settingName } from '../../model/event-log';
import { MAX_TICKS, SETTING_LIMITS, type ClockState, type Control } from '../../model/messages';
import type { Site } from '../../model/site';
import { put } from '../panels';
import { confirmed } from './confirm';
import { chargersEffect, choiceEffect, endEffect, MODE_EFFECTS, SCALE_EFFECTS } from './effects';

type Value = Control['value'];
export type Publish = (setting: string, control: Control) => void;

/** A control that was published, and that the clock has not answered yet. */
interface Pending {
  name: string;
  value: Value;
  revision: number;
  /** Real time at which it was published, in ms. */
  at: number;
  rejectedBefore: number;
}

const ANSWER_WITHIN_MS = 6_000;
/** Controls that act once: the clock reports no setting for them. */
const ONCE: ReadonlySet<string> = new Set(['storm', 'outage_s', 'step']);
const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

export class Controls {
  private readonly pending = new Map<string, Pending>();
  private readonly fieldset = get<HTMLFieldSetElement>('run-controls');
  private readonly pause = get<HTMLButtonElement>('pause');
  private readonly answer = get('answer');
  private readonly mode = get<HTMLSelectElement>('mode');
  private readonly seconds = get<HTMLInputElement>('seconds');
  private readonly ticks = get<HTMLInputElement>('ticks');
  private readonly algorithm = get<HTMLSelectElement>('algorithm');
  private readonly rule = get<HTMLSelectElement>('clearing-rule');
  private readonly out = get<HTMLInputElement>('chargers-out');
  private readonly sliders = new Map<string, [HTMLInputElement, HTMLOutputElement]>();
  private sent = 0;
  /** Whether the broker lets this user watch only. */
  private readOnly = false;

  constructor(
    private readonly site: Site,
    private readonly publish: Publish,
  ) {
    this.makeSliders();
    this.out.maxLength = SETTING_LIMITS.chargers_out;
    this.pause.addEventListener('click', () => this.request('paused', !this.paused));
    get('step').addEventListener('click', () => this.request('step', 1));
    get('storm').addEventListener('click', () => this.request('storm', true));
    get('damage').addEventListener('click', () => this.request('turbine_scale', 0));
    get('calm').addEventListener('click', () => this.request('storm', false));
    get('outage').addEventListener('click', () => this.request('outage_s', Number(get<HTMLSelectElement>('outage-s').value)));
    get('all-in-service').addEventListener('click', () => this.request('chargers_out', ''));
    get('end').addEventListener('click', () => void this.endAfter((this.site.tick?.tick ?? 0) + 1));
    this.out.addEventListener('input', () => this.showChargersEffect());
    this.out.addEventListener('change', () => this.requestChargersOut());
    this.ticks.addEventListener('input', () => this.showEndEffect());
    this.mode.addEventListener('change', () => this.request('mode', this.mode.value));
    this.algorithm.addEventListener('change', () => this.request('algorithm', this.algorithm.value));
    this.rule.addEventListener('change', () => this.request('clearing_rule', this.rule.value));
    this.seconds.addEventListener('change', () => this.requestNumber('seconds_per_tick', this.seconds));
    this.ticks.addEventListener('change', () => this.requestEnd());
    for (const field of [this.mode, this.algorithm, this.rule]) field.addEventListener('input', () => this.showChoices());
  }

  private get paused(): boolean {
    return this.site.tick?.paused ?? this.site.run.clock?.paused ?? false; // the tick is published again at every pause
  }

  /** The parts of the setting that takes chargers out of service: ids, cells, shares. */
  private get outParts(): string[] {
    return (this.site.tick?.settings.chargers_out ?? '').split(/[,\s]+/).filter(Boolean);
  }

  /** Whether a charger is out of service by its own id, and not by a share or its cell. */
  isNamedOut(id: string): boolean {
    return this.outParts.includes(id);
  }

  /** Whether this charger can be taken out of service, or put back, by itself. */
  mayToggle(device: Device): boolean {
    return !this.fieldset.disabled && (this.isNamedOut(device.id) || !outOfService(device));
  }

  toggleCharger(id: string): void {
    const others = this.outParts.filter((each) => each !== id);
    const parts = (others.length < this.outParts.length ? others : [...others, id]).join(',');
    if (parts.length <= SETTING_LIMITS.chargers_out) this.request('chargers_out', parts);
    else this.answerWith('bad', 'Too many chargers to list by id: use a share such as 25%, a cell, or all');
  }

  private makeSliders(): void {
    const parent = get('scales');
    for (const name of SCALES) {
      const label = document.createElement('label');
      label.htmlFor = `scale-${name}`;
      const [title, effect] = SCALE_EFFECTS[name];
      label.textContent = title;
      const input = document.createElement('input');
      input.id = label.htmlFor;
      input.type = 'range';
      [input.min, input.max] = SETTING_LIMITS[name].map(String) as [string, string];
      input.step = '0.01';
      const output = document.createElement('output');
      output.htmlFor.add(input.id);
      input.addEventListener('input', () => this.showScale(input, output));
      input.addEventListener('change', () => this.request(name, Number(input.value)));
      const hint = document.createElement('small');
      hint.className = 'effect';
      hint.id = `${input.id}-hint`;
      hint.textContent = effect;
      input.setAttribute('aria-describedby', hint.id);
      const row = document.createElement('div');
      row.className = 'control scale';
      row.append(label, output, input, hint);
      parent.append(row);
      this.sliders.set(name, [input, output]);
    }
  }

  private showScale(input: HTMLInputElement, output: HTMLOutputElement): void {
    output.textContent = `× ${Number(input.value).toFixed(2).replace(/0$/, '')}`;
    input.setAttribute('aria-valuetext', `times ${input.value}`);
  }

  private requestNumber(name: string, input: HTMLInputElement): void {
    if (input.value !== '' && input.checkValidity()) this.request(name, Number(input.value));
    else this.answerWith('bad', `${settingName(name)}: enter a number from ${input.min} to ${input.max}`);
  }

  private requestChargersOut(): void {
    const value = this.out.value.trim();
    if (!chargersEffect(this.site, value).wrong) return this.request('chargers_out', value);
    this.answerWith('bad', 'Chargers out of service: nothing was changed');
  }

  private requestEnd(): void {
    if (!endEffect(this.site, this.ticks.value).wrong) return void this.endAfter(Number(this.ticks.value));
    this.answerWith('bad', 'End after tick: nothing was changed');
  }

  /** Ask before the run is made to end earlier than it would. */
  private async endAfter(ticks: number): Promise<void> {
    const { clock, tick } = this.site.run;
    if (!tick) return;
    const before = clock?.ticks ?? tick.tick + 1 + tick.ticks_left;
    if (ticks < before) {
      const { text } = endEffect(this.site, String(ticks));
      const lost = `${before - ticks} planned ${before - ticks === 1 ? 'tick' : 'ticks'} will not run.`;
      if (!(await confirmed(`End the run after tick ${ticks}?`, `${text} ${lost} A run that has ended cannot go on.`, 'End the run'))) {
        this.ticks.value = String(before);
        return this.answerWith('', 'The run goes on as planned.');
      }
    }
    this.request('ticks', ticks);
  }

  private showEndEffect(): void {
    showEffect(this.ticks, 'ticks-hint', endEffect(this.site, this.ticks.value));
  }

  private showChargersEffect(): void {
    showEffect(this.out, 'chargers-out-hint', chargersEffect(this.site, this.out.value));
  }

  private showChoices(): void {
    put('mode-hint', MODE_EFFECTS[this.mode.value as keyof typeof MODE_EFFECTS] ?? '');
    put('algorithm-hint', choiceEffect(this.algorithm.value));
    put('clearing-rule-hint', choiceEffect(this.rule.value));
  }

  private request(name: string, value: Value): void {
    this.sent = Math.max(this.sent, this.site.run.revision) + 1;
    const rejectedBefore = this.site.run.clock?.refused['control'] ?? 0;
    this.pending.set(name, { name, value, revision: this.sent, at: performance.now(), rejectedBefore });
    this.answerWith('', `Requested: ${describeControl(name, value)} …`);
    this.publish(name, { value, revision: this.sent });
  }

  /** The broker denied a control: this user may watch only. */
  onDenied(reason: string): void {
    this.pending.clear();
    this.answerWith('bad', `The broker denied it: ${reason}. Log in as an operator to control the run.`);
    this.setReadOnly(true);
  }

  /** Show the controls without letting them be used: a viewer sees what is in effect. */
  setReadOnly(readOnly: boolean): void {
    this.readOnly = readOnly;
    get('read-only').hidden = !readOnly;
  }

  /** Compare what was requested with what the clock reports, and show the latter. */
  update(nowMs: number, online: boolean): void {
    const { clock, tick, finished } = this.site.run;
    this.fieldset.disabled = !online || !tick || finished || this.readOnly;
    for (const request of [...this.pending.values()]) {
      if (clock && clock.revision >= request.revision && isInEffect(clock, request)) {
        this.pending.delete(request.name);
        this.answerWith('good', `${ONCE.has(request.name) ? 'Accepted' : 'In effect'}: ${describeControl(request.name, request.value)}`);
      } else if (clock && (clock.refused['control'] ?? 0) > request.rejectedBefore) {
        this.pending.delete(request.name);
        this.answerWith('bad', `The clock rejected: ${describeControl(request.name, request.value)}`);
      } else if (nowMs - request.at > ANSWER_WITHIN_MS) {
        this.pending.delete(request.name);
        this.answerWith('bad', `No answer from the clock: ${describeControl(request.name, request.value)}. Only an operator may control the run.`);
      }
    }
    if (!tick) return;
    this.pause.textContent = this.paused ? 'Resume' : 'Pause';
    this.setField(this.mode, 'mode', clock?.mode ?? tick.mode);
    const seconds = clock?.seconds_per_tick || tick.seconds_per_tick;
    this.setField(this.seconds, 'seconds_per_tick', seconds ? String(seconds) : '');
    const ticks = clock?.ticks ?? tick.tick + 1 + tick.ticks_left;
    this.setField(this.ticks, 'ticks', ticks > MAX_TICKS ? '' : String(ticks)); // empty: until the clock is stopped
    const settings = clock?.settings ?? tick.settings;
    offer(this.algorithm, [...(this.site.facts?.offer_rankings ?? []), settings.algorithm]);
    offer(this.rule, [...(this.site.facts?.clearing_rules ?? []), settings.clearing_rule]);
    this.setField(this.algorithm, 'algorithm', settings.algorithm);
    this.setField(this.rule, 'clearing_rule', settings.clearing_rule);
    this.setField(this.out, 'chargers_out', settings.chargers_out);
    this.suggest();
    this.showChoices();
    this.showEndEffect();
    this.showChargersEffect();
    for (const name of SCALES) {
      const [input, output] = this.sliders.get(name)!;
      this.setField(input, name, String(settings[name]));
      if (document.activeElement !== input || !this.pending.has(name)) this.showScale(input, output);
    }
  }

  /** Suggest cells and shares for chargers out of service; single chargers are best clicked on the map. */
  private suggest(): void {
    const cells = this.site.cells.length > 1 ? this.site.cells.slice(0, 50).map((each) => each.name) : [];
    const values = ['25%', '50%', 'all', ...cells];
    const list = get<HTMLDataListElement>('chargers-out-suggestions');
    if (list.children.length === values.length) return;
    list.replaceChildren(...values.map((value) => new Option(value, value)));
  }

  /** Set a field to what is in effect, unless it is being edited or an answer is awaited. */
  private setField(field: HTMLInputElement | HTMLSelectElement, name: string, value: string): void {
    const busy = this.pending.has(name) || (document.activeElement === field && field.matches('[type=number], [type=text], :active'));
    if (!busy && field.value !== value) field.value = value;
  }

  private answerWith(state: '' | 'good' | 'bad', text: string): void {
    this.answer.dataset['state'] = state;
    this.answer.textContent = text;
  }
}

/** Show what a value does, and mark a field whose value is wrong. */
function showEffect(field: HTMLInputElement, hint: string, { text, wrong }: { text: string; wrong: boolean }): void {
  put(hint, text);
  get(hint).classList.toggle('wrong', wrong);
  if (field.getAttribute('aria-invalid') !== String(wrong)) field.setAttribute('aria-invalid', String(wrong));
}

/** Let a field offer these names: what the clock has installed, and what is in effect. */
function offer(field: HTMLSelectElement, names: readonly string[]): void {
  const wanted = [...new Set(names)];
  if (wanted.join() === [...field.options].map((each) => each.value).join()) return;
  const chosen = field.value;
  field.replaceChildren(...wanted.map((name) => new Option(name, name)));
  if (wanted.includes(chosen)) field.value = chosen;
}

function isInEffect(clock: ClockState, { name, value }: Pending): boolean {
  const shown: Record<string, Value | undefined> = { ...clock.settings, paused: clock.paused, mode: clock.mode };
  return ONCE.has(name) || !(name in shown) || shown[name] === value;
}
