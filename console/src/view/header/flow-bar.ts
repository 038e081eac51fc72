// The energy-flow bar: where the energy of the last tick came from, above where it went, on one scale.

import { kw } from '../../format';
import type { DeviceRole } from '../../model/devices';
import type { EnergyFlow, From, To } from '../../model/energy-flow';
import type { Site } from '../../model/site';
import { nameOfRole } from '../roles';

type Name = From | To;
const FROM: readonly From[] = ['producer', 'storage', 'grid-supply'];
const TO: readonly To[] = ['consumer', 'charger', 'storage', 'curtailed', 'unserved'];
/** Less than this, in W, would be rounded to 0.0 kW. */
const NOTHING_W = 50;
/** What is always named, so that a reader finds it at its place; the others only where the site has them. */
const ALWAYS: ReadonlySet<Name> = new Set(['producer', 'curtailed']);

interface Part {
  segment: HTMLElement;
  item: HTMLElement;
  name: HTMLElement;
  value: HTMLElement;
}

/** One side of the flow: a bar of segments, and a key with the power of each. */
class Side<T extends Name> {
  private readonly parts = new Map<T, Part>();

  constructor(
    id: string,
    private readonly names: readonly T[],
  ) {
    const holder = document.getElementById(id)!;
    const bar = document.createElement('div');
    bar.className = 'flow-bar';
    const key = document.createElement('ul');
    key.className = 'flow-key';
    for (const each of names) {
      const [segment, item, patch, name, value] = ['i', 'li', 'i', 'span', 'b'].map((tag) => document.createElement(tag)) as [HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement];
      segment.className = patch.className = `flow-${each}`;
      item.append(patch, name, ' ', value);
      bar.append(segment);
      key.append(item);
      this.parts.set(each, { segment, item, name, value });
    }
    bar.setAttribute('aria-hidden', 'true'); // the key says the same in words
    holder.append(bar, key);
  }

  /** Show powers in W; `allW` is what the whole width stands for. */
  show(powers: Readonly<Record<T, number>> | null, allW: number, named: (name: T) => string | null): void {
    for (const each of this.names) {
      const { segment, item, name, value } = this.parts.get(each)!;
      const text = named(each);
      const power = powers?.[each] ?? 0;
      segment.style.width = `${allW > 0 ? (100 * power) / allW : 0}%`;
      item.hidden = text === null;
      if (text !== null && name.textContent !== text) name.textContent = text;
      const shown = !powers ? '–' : power < NOTHING_W ? '0 kW' : kw(power);
      if (value.textContent !== shown) value.textContent = shown;
      item.classList.toggle('none', power < NOTHING_W);
    }
  }
}

export class FlowBar {
  private readonly from = new Side<From>('flow-from', FROM);
  private readonly to = new Side<To>('flow-to', TO);

  show(site: Site, flow: EnergyFlow | null): void {
    const sum = (powers: Record<string, number> | undefined): number => Object.values(powers ?? {}).reduce((all, each) => all + each, 0);
    const allW = Math.max(sum(flow?.from), sum(flow?.to));
    this.from.show(flow?.from ?? null, allW, (name) => nameOf(site, name, flow?.from[name] ?? 0));
    this.to.show(flow?.to ?? null, allW, (name) => nameOf(site, name, flow?.to[name] ?? 0));
  }
}

/** The name of a part of the flow; null where the site has no such devices. */
function nameOf(site: Site, name: Name, power: number): string | null {
  if (name === 'curtailed') return 'curtailed';
  if (name === 'unserved') return power ? 'not served' : null;
  const role: DeviceRole = name;
  return ALWAYS.has(name) || power || site.devices.has(role) ? nameOfRole(site, role) : null;
}
