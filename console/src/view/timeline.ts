// The time slider: looks back at any tick of the run, and plays the run again from there.

import { clockText, dayText } from '../format';
import type { RunState, ToServer, Viewing } from '../model/history';
import type { Site } from '../model/site';

const SPEEDS = [0.5, 1, 2, 4, 8] as const;
const DEFAULT_SPEED = 2;

export class Timeline {
  private readonly slider = element('input', { type: 'range', id: 'timeline-slider', min: '1', step: '1' });
  private readonly label = element('output', { id: 'timeline-label' });
  private readonly play = element('button', { type: 'button', id: 'timeline-play' }, 'Play');
  private readonly back = element('button', { type: 'button', id: 'timeline-back', title: 'One tick back' }, '‹ Step');
  private readonly step = element('button', { type: 'button', id: 'timeline-step', title: 'One tick on' }, 'Step ›');
  private readonly now = element('button', { type: 'button', id: 'timeline-now' }, 'Back to now');
  private readonly speed = element('select', { id: 'timeline-speed' });
  private readonly jump = element('select', { id: 'timeline-jump' });
  private timer = 0;
  private dragging = false;
  private marks = '';
  /** A step was asked for and has not arrived. */
  private waiting = false;

  constructor(
    private readonly holder: HTMLElement,
    private readonly site: Site,
    private readonly send: (message: ToServer) => void,
  ) {
    this.slider.setAttribute('aria-label', 'Tick that is shown');
    for (const each of SPEEDS) this.speed.append(new Option(`${each} ticks/s`, String(each), false, each === DEFAULT_SPEED));
    const { slider, label, play, back, step, now } = this;
    holder.append(
      slider,
      label,
      group(back, play, step, now),
      labelled('Speed', this.speed),
      labelled('Jump to', this.jump),
    );
    slider.addEventListener('input', () => {
      this.dragging = true;
      this.showLabel(Number(slider.value));
    });
    slider.addEventListener('change', () => {
      this.dragging = false;
      this.show(Number(slider.value) - 1);
    });
    back.addEventListener('click', () => this.show(this.tick - 1));
    step.addEventListener('click', () => this.next());
    play.addEventListener('click', () => (this.timer ? this.pause() : this.start()));
    now.addEventListener('click', () => {
      this.pause();
      this.send({ kind: 'live' });
    });
    this.speed.addEventListener('change', () => {
      if (this.timer) this.start();
    });
    this.jump.addEventListener('change', () => {
      if (this.jump.value) this.show(Number(this.jump.value));
      this.jump.value = '';
    });
  }

  /** Show the run at the end of a tick. */
  show(tick: number): void {
    const run = this.site.runState;
    this.pause();
    this.send({ kind: 'at', tick: run ? Math.max(run.first, Math.min(tick, this.last(run))) : tick });
  }

  /** A tick that was asked for has arrived. */
  arrived(): void {
    this.waiting = false;
    const run = this.site.runState;
    if (run && this.timer && this.tick >= this.last(run)) this.pause();
  }

  update(run: RunState | null, viewing: Viewing): void {
    const last = run ? this.last(run) : 0;
    this.holder.hidden = !run || last < 1;
    if (!run || this.holder.hidden) return;
    this.slider.min = String(run.first + 1);
    this.slider.max = String(last + 1);
    if (!this.dragging) {
      this.slider.value = String(this.tick + 1);
      this.showLabel(this.tick + 1);
    }
    this.now.hidden = viewing.live || run.mode === 'replay';
    this.now.textContent = run.state === 'running' ? 'Back to now' : 'To the end';
    // What goes on by itself needs no play, step or speed of its own: the controls of the run have those.
    const goesOn = viewing.live && run.mode === 'live' && (run.state === 'running' || run.state === 'starting');
    this.play.hidden = this.step.hidden = this.speed.parentElement!.hidden = goesOn;
    this.play.disabled = !this.timer && this.tick >= last && run.mode === 'live';
    this.step.disabled = this.tick >= last;
    this.back.disabled = this.tick <= run.first;
    this.back.textContent = goesOn ? '‹ Look back' : '‹ Step';
    this.showMarks(run);
  }

  private start(): void {
    const run = this.site.runState;
    if (!run) return;
    if (this.site.viewing.live || this.tick >= this.last(run)) this.send({ kind: 'at', tick: run.first });
    window.clearInterval(this.timer);
    this.timer = window.setInterval(() => this.next(), 1_000 / Number(this.speed.value));
    this.play.textContent = 'Pause';
  }

  private pause(): void {
    window.clearInterval(this.timer);
    this.timer = 0;
    this.waiting = false;
    this.play.textContent = 'Play';
  }

  private next(): void {
    if (this.waiting) return;
    this.waiting = true;
    this.send({ kind: 'next' });
  }

  private get tick(): number {
    return Math.max(this.site.viewing.live ? (this.site.tick?.tick ?? 0) : this.site.viewing.tick, 0);
  }

  private last(run: RunState): number {
    return Math.max(run.last, this.site.viewing.live ? (this.site.tick?.tick ?? 0) : 0);
  }

  private showLabel(shown: number): void {
    const totals = this.site.tick;
    const run = this.site.runState;
    const of = run?.ticks ? ` of ${run.ticks}` : '';
    const ms = totals && shown === totals.tick + 1 ? totals.simulated_ms : NaN;
    this.label.textContent = `Tick ${shown}${of}${Number.isFinite(ms) ? ` · ${dayText(ms)}, ${clockText(ms)}` : ''}`;
    this.slider.setAttribute('aria-valuetext', this.label.textContent);
  }

  private showMarks(run: RunState): void {
    const key = JSON.stringify(run.marks);
    if (key === this.marks) return;
    this.marks = key;
    const parent = this.jump.parentElement!;
    parent.hidden = !run.marks.length;
    this.jump.replaceChildren(new Option('an event …', ''), ...run.marks.map(([tick, text]) => new Option(`tick ${tick + 1}: ${text}`, String(tick))));
  }
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, attributes: Record<string, string>, text = ''): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function group(...parts: HTMLElement[]): HTMLElement {
  const made = document.createElement('div');
  made.className = 'buttons';
  made.append(...parts);
  return made;
}

function labelled(text: string, control: HTMLElement): HTMLElement {
  const made = document.createElement('label');
  made.append(`${text} `, control);
  return made;
}
