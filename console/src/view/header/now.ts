// The head of the page: the energy balance in words, the flow bar, price, time, devices and the steps of the tick.

import { clockText, dayText, kw, plain, price } from '../../format';
import { balanceWords, energyFlow } from '../../model/energy-flow';
import { MAX_TICKS, STEPS, type Tick } from '../../model/messages';
import type { Site } from '../../model/site';
import { put } from '../panels';
import { nameOfRole } from '../roles';
import { FlowBar } from './flow-bar';

const get = (id: string): HTMLElement => document.getElementById(id)!;
const STEP_NAMES = [...new Map(Object.values(STEPS).map(([number, name]) => [number, name]))].sort(([a], [b]) => a - b);

/** How far the run is: `5 of 120`; `5` for a run that goes on until the clock is stopped. */
const countText = (tick: Tick): string =>
  tick.ticks_left > MAX_TICKS ? plain(tick.tick + 1) : `${plain(tick.tick + 1)} of ${plain(tick.tick + 1 + tick.ticks_left)}`;

export class Now {
  private readonly bar = new FlowBar();
  private readonly steps: HTMLElement[];

  constructor() {
    this.steps = STEP_NAMES.map(([number, name]) => {
      const item = document.createElement('li');
      item.textContent = `${number} ${name}`;
      return item;
    });
    get('steps').replaceChildren(...this.steps);
  }

  show(site: Site): void {
    const { tick, devices, history } = site;
    const totals = history.settled();
    const flow = energyFlow(totals);
    const gridSupply = `The ${nameOfRole(site, 'grid-supply')}`;
    const words = balanceWords(flow, gridSupply, kw);
    get('now').dataset['balance'] = words.state;
    put('now-balance', words.short.replaceAll(' kW', '\u00a0kW'));
    put('now-balance-why', words.long);
    this.bar.show(site, flow);
    put('now-price', totals?.soldWh ? price(totals.meanPrice) : '–');
    put('now-lowest', totals?.soldWh ? `lowest ${price(totals.lowestPrice)}` : 'nothing sold');
    put('now-tick', tick ? countText(tick) : '–');
    put('now-time', tick ? `${dayText(tick.simulated_ms)}, ${clockText(tick.simulated_ms)}` : '–');
    let online = 0;
    for (const device of devices.all.values()) if (device.online) online += 1;
    put('now-devices', tick || devices.all.size ? `${plain(online)} of ${plain(devices.all.size)}` : '–');
    const step = tick ? STEPS[tick.phase][0] : 0;
    this.steps.forEach((item, index) => {
      const state = index + 1 < step ? 'done' : index + 1 === step ? 'now' : 'next';
      if (item.dataset['state'] === state) return;
      item.dataset['state'] = state;
      if (state === 'now') item.setAttribute('aria-current', 'step');
      else item.removeAttribute('aria-current');
    });
  }
}
