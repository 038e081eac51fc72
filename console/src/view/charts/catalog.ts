// What the charts show: title, unit and lines of each. A quantity has the same colour in every chart, as in the report.

import { DEVICE_ROLES, type DeviceRole } from '../../model/devices';
import type { Site } from '../../model/site';
import type { TickTotals } from '../../model/tick-totals';
import { ROLE_COLOUR, type ColourName } from '../palette';
import { nameOfRole, ROLE_NAMES } from '../roles';

export interface Line {
  label: string;
  colour: ColourName;
  dash?: number[];
  scale?: 'y' | 'km';
  digits: number;
  /** Drawn as a dot a tick: most ticks have no value. */
  sparse?: boolean;
  value: (totals: TickTotals) => number;
}
/** A line across the chart that figures are compared with, and its name. */
export interface Reference {
  label: string;
  colour: ColourName;
  value: number;
}
export interface Chart {
  title: string;
  unit: string;
  lines: (site: Site) => Line[];
  references?: (site: Site) => Reference[];
}

const DASHES: number[][] = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 6], [12, 4]];
/** With more sellers of a role than this, one line shows them all. */
const MAX_SELLERS = 6;
const SELLERS = DEVICE_ROLES.filter((role) => role === 'producer' || role === 'storage' || role === 'grid-supply');
const per = (divisor: number) => (value: number): number => value / divisor;
const inKwh = per(1e3);
const inEur = per(1e9);
const inPrice = per(1e6);

/** Lines of roles, in their colours unless they state one, each where the site has devices of its role. */
function present(lines: (Omit<Line, 'colour'> & { of: DeviceRole; colour?: ColourName })[]): (site: Site) => Line[] {
  return (site) =>
    lines.filter(({ of }) => site.devices.has(of)).map((line) => ({ colour: ROLE_COLOUR[line.of], ...line }));
}

/** The balances of a role's devices: one line each where they are few, else one for all. */
function balances(site: Site, role: DeviceRole): Line[] {
  const newest = site.history.finished().at(-1);
  const ids = [...(newest?.balance.keys() ?? [])].filter((id) => site.devices.get(id)?.role === role).sort();
  const line = (label: string, which: string[], dash: number[]): Line => ({
    label,
    colour: ROLE_COLOUR[role],
    dash,
    digits: 0,
    value: (b) => {
      const known = which.filter((id) => b.balance.has(id));
      return known.length ? inEur(known.reduce((sum, id) => sum + (b.balance.get(id) ?? 0), 0)) : NaN;
    },
  });
  if (ids.length > MAX_SELLERS) return [line(`all ${ids.length} ${ROLE_NAMES[role]}`, ids, [])];
  return ids.map((id, index) => line(id, [id], DASHES[index % DASHES.length] ?? []));
}

export const CHARTS: Chart[] = [
  {
    title: 'Consumption and generation',
    unit: 'kWh per tick',
    lines: present([
      { of: 'producer', label: 'producers', digits: 0, value: (b) => inKwh(b.generated) },
      { of: 'grid-supply', label: 'grid supply', digits: 0, value: (b) => inKwh(b.gridSupply) },
      { of: 'consumer', label: 'consumers', digits: 0, value: (b) => inKwh(b.bought) },
      { of: 'charger', label: 'chargers', digits: 0, value: (b) => inKwh(b.charged) },
      { of: 'storage', label: 'storages sold', digits: 0, value: (b) => inKwh(b.storageSold) },
      { of: 'storage', label: 'storages bought', dash: [7, 4], digits: 0, value: (b) => inKwh(b.storageBought) },
      { of: 'producer', label: 'curtailed', colour: 'curtailed', dash: [3, 3], digits: 0, value: (b) => inKwh(b.curtailed) },
    ]),
  },
  {
    title: 'Market prices',
    unit: '€/kWh',
    lines: () => [
      { label: 'mean', colour: 'price', digits: 3, value: (b) => inPrice(b.meanPrice) },
      { label: 'lowest', colour: 'price', dash: [3, 3], digits: 3, value: (b) => inPrice(b.lowestPrice) },
    ],
    references: (site) =>
      site.facts && site.devices.has('grid-supply')
        ? [{ label: `${nameOfRole(site, 'grid-supply')}: from ${(site.facts.reactor_price_ueur_per_kwh / 1e6).toFixed(3)} €/kWh`, colour: 'reactor', value: inPrice(site.facts.reactor_price_ueur_per_kwh) }]
        : [],
  },
  {
    title: 'Stored energy',
    unit: 'kWh',
    lines: present([
      { of: 'storage', label: 'in storages', digits: 0, value: (b) => inKwh(b.storedStorages) },
      { of: 'charger', label: 'in chargers', digits: 0, value: (b) => inKwh(b.storedChargers) },
      { of: 'vehicle', label: 'in vehicles', digits: 0, value: (b) => inKwh(b.storedVehicles) },
    ]),
  },
  {
    title: 'Balance of sellers',
    unit: 'earned less paid, € since the start',
    lines: (site) => SELLERS.flatMap((role) => balances(site, role)),
  },
  {
    title: 'Accepted charging offers',
    unit: 'mean, €/kWh and km',
    lines: () => [
      { label: 'price', colour: 'price', digits: 3, sparse: true, value: (b) => (b.accepted ? inPrice(b.acceptedUeur / b.accepted) : NaN) },
      { label: 'distance', colour: 'vehicle', scale: 'km', digits: 0, sparse: true, value: (b) => (b.accepted ? b.acceptedKm / b.accepted : NaN) },
    ],
  },
  {
    title: 'Cost of a charge',
    unit: 'mean, €',
    lines: () => [
      { label: 'cost', colour: 'vehicle', digits: 2, sparse: true, value: (b) => (b.accepted ? inEur(b.acceptedNeur / b.accepted) : NaN) },
    ],
  },
];
