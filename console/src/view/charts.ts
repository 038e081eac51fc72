// The charts over time. A quantity has the same colour in every chart.

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { clockText, plain } from '../format';
import { DEVICE_ROLES, type DeviceRole } from '../model/devices';
import type { Site } from '../model/site';
import type { TickTotals } from '../model/tick-totals';
import { ROLE_COLOUR, type Colours, type ColourName } from './palette';
import { ROLE_NAMES } from './roles';

interface Line {
  label: string;
  colour: ColourName;
  dash?: number[];
  scale?: 'y' | 'km';
  digits: number;
  value: (totals: TickTotals) => number;
}
interface Chart {
  title: string;
  unit: string;
  lines: (site: Site) => Line[];
}

const DASHES: number[][] = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 6], [12, 4]];
/** With more sellers of a role than this, one line shows them all. */
const MAX_SELLERS = 6;
const SELLERS = DEVICE_ROLES.filter((role) => role === 'producer' || role === 'storage' || role === 'grid-supply');
const HEIGHT = 200;
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

const CHARTS: Chart[] = [
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
      { label: 'price', colour: 'price', digits: 3, value: (b) => (b.accepted ? inPrice(b.acceptedUeur / b.accepted) : NaN) },
      { label: 'distance', colour: 'vehicle', dash: [7, 4], scale: 'km', digits: 0, value: (b) => (b.accepted ? b.acceptedKm / b.accepted : NaN) },
    ],
  },
  {
    title: 'Cost of a charge',
    unit: 'mean, €',
    lines: () => [
      { label: 'cost', colour: 'vehicle', digits: 2, value: (b) => (b.accepted ? inEur(b.acceptedNeur / b.accepted) : NaN) },
    ],
  },
];

class Plot {
  private plot: uPlot | null = null;
  private known = '';
  private readonly holder: HTMLElement;
  private readonly panel: HTMLElement;

  constructor(
    parent: HTMLElement,
    private readonly chart: Chart,
  ) {
    this.panel = document.createElement('section');
    this.panel.className = 'panel';
    const title = document.createElement('h3');
    const unit = document.createElement('small');
    unit.textContent = ` ${chart.unit}`;
    title.append(chart.title, unit);
    this.holder = document.createElement('div');
    this.holder.className = 'plot';
    this.panel.append(title, this.holder);
    parent.append(this.panel);
    new ResizeObserver(() => this.fit()).observe(this.holder);
  }

  show(site: Site, totals: TickTotals[], colours: Colours, rebuild: boolean): void {
    const lines = this.chart.lines(site);
    this.panel.hidden = !lines.length;
    if (!lines.length) return;
    const key = lines.map((line) => line.label).join('\n');
    const x = totals.map((each) => each.ms / 1000);
    const data = [
      x,
      ...lines.map((line) =>
        totals.map((each) => {
          const value = line.value(each);
          return Number.isFinite(value) ? value : null;
        }),
      ),
    ] as uPlot.AlignedData;
    if (!this.plot || key !== this.known || rebuild) {
      this.plot?.destroy();
      this.known = key;
      this.plot = new uPlot(this.options(lines, colours), data, this.holder);
    } else {
      this.plot.setData(data);
    }
    this.showLast();
  }

  /** Without a pointer over the chart, the legend shows the newest figures. */
  private showLast(): void {
    const plot = this.plot;
    if (plot && (plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: plot.data[0].length - 1 });
  }

  private fit(): void {
    const width = Math.floor(this.holder.clientWidth);
    if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  private options(lines: Line[], colours: Colours): uPlot.Options {
    const axis: uPlot.Axis = {
      stroke: colours.muted,
      font: '11px system-ui, sans-serif',
      grid: { stroke: colours.grid, width: 1 },
      ticks: { show: false },
    };
    const km = lines.some((line) => line.scale === 'km');
    return {
      width: Math.max(this.holder.clientWidth, 200),
      height: HEIGHT,
      padding: [10, km ? 4 : 20, 0, 0],
      hooks: { setCursor: [() => this.showLast()] },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
      cursor: { sync: { key: 'time' }, y: false, drag: { x: false, y: false } },
      legend: { live: true, markers: { dash: (_plot, index) => borderStyle(lines[index - 1]?.dash) } },
      scales: {
        x: { time: true },
        y: { range: (_plot, low, high) => range(low, high) },
        km: { range: (_plot, low, high) => range(low, high) },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 30, space: 70, values: '{HH}:{mm}' },
        { ...axis, size: 52, values: (_plot, ticks) => axisLabels(ticks) },
        ...(km ? [{ ...axis, scale: 'km', side: 1, size: 40, grid: { show: false } } as uPlot.Axis] : []),
      ],
      series: [
        { label: 'time', value: (_plot, seconds) => (Number.isFinite(seconds) ? clockText(seconds * 1000) : '') },
        ...lines.map(
          (line): uPlot.Series => ({
            label: line.label,
            scale: line.scale ?? 'y',
            stroke: colours[line.colour],
            width: 1.75,
            dash: line.dash ?? [],
            spanGaps: line.label === 'price' || line.label === 'distance' || line.label === 'cost',
            points: { show: false },
            value: (_plot, value) => plain(value ?? NaN, line.digits),
          }),
        ),
      ],
    };
  }
}

export class Charts {
  private readonly plots: Plot[];
  private shown = '';

  constructor(
    parent: HTMLElement,
    private readonly site: Site,
    private colours: Colours,
  ) {
    this.plots = CHARTS.map((chart) => new Plot(parent, chart));
  }

  recolour(colours: Colours): void {
    this.colours = colours;
    this.update(true);
  }

  /** Draw again when another tick has finished. */
  update(rebuild = false): void {
    const key = `${this.site.tick?.epoch} ${this.site.tick?.tick}`;
    if (key === this.shown && !rebuild) return;
    this.shown = key;
    const totals = this.site.history.finished().filter((each) => each.ms > 0);
    for (const plot of this.plots) plot.show(this.site, totals, this.colours, rebuild);
  }
}

/** The style of a line's mark in the legend: as the line, as far as CSS can. */
function borderStyle([mark = 0]: number[] = []): string {
  return mark > 3 ? 'dashed' : mark ? 'dotted' : 'solid';
}

function range(low: number | null, high: number | null): [number, number] {
  const top = Math.max(high ?? 0, 1e-9);
  return [Math.min(low ?? 0, 0) * 1.05, top > 1e-6 ? top * 1.08 : 1];
}

/** Labels of an axis, all with as many decimals as the finest of them needs. */
function axisLabels(values: number[]): string[] {
  const decimals = values.map((value) => String(+value.toFixed(3)).split('.')[1]?.length ?? 0);
  return values.map((value) => plain(value, Math.max(...decimals)));
}

