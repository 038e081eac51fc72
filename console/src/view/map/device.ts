// Draws one device on the map: the symbol of its role in its present state.

import { isShort, outOfService, stateOfCharge } from '../../model/devices';
import type { Site } from '../../model/site';
import { ROLE_COLOUR, type Colours } from '../palette';
import type { Spot } from './flows';
import { ROTOR_STEPS, type Pen, type Symbols } from './symbols';

const STATUSES = ['parked', 'charging', 'stranded'] as const;

export interface DeviceScene {
  site: Site;
  symbols: Symbols;
  colours: Colours;
  /** Size of the symbols; 1 is normal. */
  size: number;
  /** How long animations have run, in ms. */
  movedMs: number;
}

/** Draw the symbol of a device; rotors and grid supplies move with `movedMs`. */
export function drawDevice(pen: Pen, { device, x, y }: Spot, { site, symbols, colours, size, movedMs }: DeviceScene): void {
  const outdated = site.isOutdated(device);
  const state = device.state;
  if (outdated) pen.globalAlpha = device.online ? 0.45 : 0.6;
  switch (device.role) {
    case 'producer': {
      const share = state && !outdated ? Math.max(0, state.power_w) / site.devices.maxProducerPowerW : 0;
      const speed = share > 0 ? 0.5 + 3.5 * Math.sqrt(share) : 0;
      const turned = (movedMs / 1000) * speed + hash(device.id);
      const step = Math.floor((((turned / ((2 * Math.PI) / 3)) % 1) + 1) * ROTOR_STEPS) % ROTOR_STEPS;
      const strength = outdated || !state ? 0 : share > 0 ? 1 + Math.round(share * 2) : 0;
      symbols.stamp(pen, `p${step} ${strength} ${outdated}`, 19, x, y, (each) => symbols.producer(each, step, strength, outdated));
      break;
    }
    case 'storage': {
      const level = Math.round((stateOfCharge(state) || 0) * 24);
      const way = outdated || !state ? 0 : (Math.sign(state.power_w) as -1 | 0 | 1);
      symbols.stamp(pen, `s${level} ${way} ${outdated}`, 16, x, y, (each) => symbols.storage(each, level / 24, way, outdated));
      break;
    }
    case 'charger': {
      const level = Math.round((stateOfCharge(state) || 0) * 24);
      const [all, reserved] = state?.role === 'charger' ? [state.ports, state.ports_reserved] : [0, 0];
      const ports = Math.min(all, 8);
      const free = Math.max(0, ports - reserved);
      const look = outOfService(device) ? 'out' : state?.status === 'charging' && !outdated ? 'charging' : 'free';
      const key = `c${level} ${ports} ${free} ${look} ${outdated}`;
      symbols.stamp(pen, key, 14, x, y, (each) => symbols.charger(each, level / 24, ports, free, look, outdated));
      break;
    }
    case 'vehicle': {
      const level = Math.round((stateOfCharge(state) || 0) * 12);
      const status = STATUSES.find((each) => each === state?.status) ?? 'driving';
      symbols.stamp(pen, `v${level} ${status} ${outdated}`, 9, x, y, (each) => symbols.vehicle(each, level / 12, status, outdated));
      break;
    }
    case 'grid-supply': {
      const busy = state?.role === 'grid-supply' && state.sold_wh > 0 && !outdated;
      if (busy) {
        pen.globalAlpha = 0.25 + 0.15 * Math.sin(movedMs / 400);
        pen.fillStyle = colours[ROLE_COLOUR['grid-supply']];
        pen.beginPath();
        pen.arc(x, y, 17 * size, 0, 7);
        pen.fill();
        pen.globalAlpha = 1;
      }
      symbols.stamp(pen, `g${busy} ${outdated}`, 13, x, y, (each) => symbols.gridSupply(each, busy, outdated));
      break;
    }
    case 'consumer': {
      const short = isShort(state);
      symbols.stamp(pen, `h${short} ${outdated}`, 10, x, y, (each) => symbols.consumer(each, short, outdated));
      break;
    }
  }
  pen.globalAlpha = 1;
  if (!device.online) symbols.stamp(pen, 'off', 9, x, y, (each) => symbols.cross(each));
}

/** A number from 0 to 2π that is always the same for a text. */
export function hash(text: string): number {
  let sum = 0;
  for (let index = 0; index < text.length; index++) sum = (sum * 31 + text.charCodeAt(index)) % 6283;
  return sum / 1000;
}
