// The charts over time. A quantity has the same colour in every chart.

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { clockText, plain } from '../format';
import type { Site } from '../model/site';
import type { TickTotals } from '../model/tick-totals';
import type { Colours, ColourName } from './palette';

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
const MAX_PRODUCERS = 6;
const HEIGHT = 200;
const per = (divisor: number) => (value: number): number => value / divisor;
const inKwh = per(1e3);
const inEur = per(1e9);
const inPrice = per(1e6);

const CHARTS: Chart[] = [
  {
    title: 'Consumption and generation',
    unit: 'kWh per tick',
    lines: () => [
      { label: 'wind', colour: 'wind', digits: 0, value: (b) => inKwh(b.wind) },
      { label: 'reactor', colour: 'reactor', digits: 0, value: (b) => inKwh(b.reactor) },
      { label: 'consumers', colour: 'consumer', digits: 0, value: (b) => inKwh(b.bought) },
      { label: 'chargers', colour: 'charger', digits: 0, value: (b) => inKwh(b.charged) },
      { label: 'curtailed', colour: 'curtailed', dash: [3, 3], digits: 0, value: (b) => inKwh(b.curtailed) },
    ],
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
    lines: () => [
      { label: 'in chargers', colour: 'charger', digits: 0, value: (b) => inKwh(b.storedChargers) },
      { label: 'in vehicles', colour: 'vehicle', digits: 0, value: (b) => inKwh(b.storedVehicles) },
    ],
  },
  {
    title: 'Earnings per producer',
    unit: '€ since the start',
    lines: (site) => {
      const newest = site.history.finished().at(-1);
      const ids = [...(newest?.balance.entries() ?? [])].sort((a, b) => (a[0] < b[0] ? -1 : 1));
      const kind = (id: string): string => site.devices.get(id)?.kind ?? '';
      const reactors = ids.filter(([id]) => kind(id) === 'reactor').map(([id]) => id);
      const turbines = ids.filter(([id]) => kind(id) === 'turbine').map(([id]) => id);
      const line = (label: string, colour: ColourName, which: string[], dash: number[]): Line => ({
        label,
        colour,
        dash,
        digits: 0,
        value: (b) => {
          const known = which.filter((id) => b.balance.has(id));
          return known.length ? inEur(known.reduce((sum, id) => sum + (b.balance.get(id) ?? 0), 0)) : NaN;
        },
      });
      if (turbines.length > MAX_PRODUCERS) {
        return [
          line(`all ${turbines.length} turbines`, 'wind', turbines, []),
          line(reactors.length === 1 ? 'reactor' : 'reactors', 'reactor', reactors, []),
        ];
      }
      return [
        ...turbines.map((id, index) => line(id, 'wind', [id], DASHES[index % DASHES.length] ?? [])),
        ...reactors.slice(0, 3).map((id, index) => line(id, 'reactor', [id], DASHES[index] ?? [])),
      ];
    },
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

  constructor(
    parent: HTMLElement,
    private readonly chart: Chart,
  ) {
    const panel = document.createElement('section');
    panel.className = 'panel';
    const title = document.createElement('h3');
    const unit = document.createElement('small');
    unit.textContent = ` ${chart.unit}`;
    title.append(chart.title, unit);
    this.holder = document.createElement('div');
    this.holder.className = 'plot';
    panel.append(title, this.holder);
    parent.append(panel);
    new ResizeObserver(() => this.fit()).observe(this.holder);
  }

  show(site: Site, totals: TickTotals[], colours: Colours, rebuild: boolean): void {
    const lines = this.chart.lines(site);
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
      legend: { live: true },
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

function range(low: number | null, high: number | null): [number, number] {
  const top = Math.max(high ?? 0, 1e-9);
  return [Math.min(low ?? 0, 0) * 1.05, top > 1e-6 ? top * 1.08 : 1];
}

/** Labels of an axis, all with as many decimals as the finest of them needs. */
function axisLabels(values: number[]): string[] {
  const decimals = values.map((value) => String(+value.toFixed(3)).split('.')[1]?.length ?? 0);
  return values.map((value) => plain(value, Math.max(...decimals)));
}

