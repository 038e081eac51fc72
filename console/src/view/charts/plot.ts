// One chart over time, with its legend, reference lines, event marks, and zoom by dragging.

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { clockText, plain } from '../../format';
import type { Site } from '../../model/site';
import type { TickTotals } from '../../model/tick-totals';
import type { Colours } from '../palette';
import { labelFont, rem } from '../text-size';
import type { Chart, Line, Reference } from './catalog';
import { marksNear, type Mark } from './marks';
import { withGaps } from './rows';
import { swatch } from './swatch';

const HEIGHT_REM = 12.5;
/** A range of simulated time, in seconds; null for the whole run. */
export type TimeRange = readonly [from: number, to: number] | null;

/** What all charts draw: the ticks, the events, and the range of time that is shown. */
export interface Content {
  site: Site;
  totals: readonly TickTotals[];
  marks: readonly Mark[];
  range: TimeRange;
  colours: Colours;
}

export class Plot {
  private plot: uPlot | null = null;
  private known = '';
  private content: Content | null = null;
  private references: Reference[] = [];
  private readonly holder = document.createElement('div');
  private readonly note = document.createElement('p');
  private readonly panel = document.createElement('section');

  constructor(
    parent: HTMLElement,
    private readonly chart: Chart,
    private readonly zoomed: (range: TimeRange) => void,
  ) {
    this.panel.className = 'panel';
    const title = document.createElement('h3');
    const unit = document.createElement('small');
    unit.textContent = ` ${chart.unit}`;
    title.append(chart.title, unit);
    this.holder.className = 'plot';
    this.note.className = 'caption mark';
    this.panel.append(title, this.holder, this.note);
    parent.append(this.panel);
    new ResizeObserver(() => this.fit()).observe(this.holder);
  }

  show(content: Content, rebuild: boolean): void {
    const { site, totals, colours } = content;
    this.content = content;
    const lines = this.chart.lines(site);
    this.panel.hidden = !lines.length;
    if (!lines.length) return;
    this.references = this.chart.references?.(site) ?? [];
    const key = lines.map((line) => line.label).join('\n');
    const rows = withGaps(totals);
    const data = [
      rows.map((each) => each.ms / 1000),
      ...lines.map((line) =>
        rows.map((each) => {
          const value = each.totals ? line.value(each.totals) : NaN;
          return Number.isFinite(value) ? value : null;
        }),
      ),
    ] as uPlot.AlignedData;
    if (!this.plot || key !== this.known || rebuild) {
      this.plot?.destroy();
      this.known = key;
      this.plot = new uPlot(this.options(lines, colours), data, this.holder);
      this.drawSwatches(lines, colours);
    } else {
      this.plot.setData(data);
    }
    this.showRange();
    this.showLast();
  }

  /** Show the range of time that all charts show. */
  showRange(): void {
    const [plot, range] = [this.plot, this.content?.range];
    if (!plot || !plot.data[0].length) return;
    const [min, max] = range ?? [plot.data[0][0]!, plot.data[0].at(-1)!];
    plot.setScale('x', { min, max: Math.max(max, min + 1) });
  }

  set range(range: TimeRange) {
    if (this.content) this.content = { ...this.content, range };
    this.showRange();
  }

  /** Without a pointer over the chart, the legend shows the newest figures. */
  private showLast(): void {
    const plot = this.plot;
    if (plot && (plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: plot.data[0].length - 1 });
  }

  private fit(): void {
    const width = Math.floor(this.holder.clientWidth);
    const height = Math.round(HEIGHT_REM * rem());
    if (this.plot && width && (width !== this.plot.width || height !== this.plot.height)) this.plot.setSize({ width, height });
  }

  private drawSwatches(lines: readonly Line[], colours: Colours): void {
    this.holder.querySelectorAll('.u-legend .u-series').forEach((row, index) => {
      const line = lines[index - 1];
      if (line) row.querySelector('.u-marker')?.replaceChildren(swatch(colours[line.colour], line.dash ?? [], line.sparse ?? false));
    });
  }

  private options(lines: Line[], colours: Colours): uPlot.Options {
    const font = labelFont();
    const size = rem() / 16;
    const axis: uPlot.Axis = { stroke: colours.muted, font, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false } };
    const km = lines.some((line) => line.scale === 'km');
    const range = (_plot: uPlot, low: number | null, high: number | null): [number, number] => this.valueRange(low, high);
    return {
      width: Math.max(this.holder.clientWidth, 200),
      height: Math.round(HEIGHT_REM * rem()),
      padding: [10, km ? 4 : 20, 0, 0],
      hooks: {
        setCursor: [() => this.onCursor()],
        draw: [(plot) => this.drawReferences(plot), (plot) => this.drawMarks(plot)],
        setSelect: [(plot) => this.onSelect(plot)],
      },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
      cursor: { sync: { key: 'time' }, y: false, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => (this.zoomed(null), null) } },
      legend: { live: true },
      scales: {
        x: { time: true, auto: false },
        y: { range },
        km: { range: (_plot, low, high) => valueRange(low, high) },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 30 * size, space: 70 * size, values: '{HH}:{mm}' },
        { ...axis, size: 52 * size, values: (_plot, ticks) => axisLabels(ticks) },
        ...(km ? [{ ...axis, scale: 'km', side: 1, size: 40 * size, grid: { show: false } } as uPlot.Axis] : []),
      ],
      series: [
        { label: 'time', value: (_plot, seconds) => (Number.isFinite(seconds) ? clockText(seconds * 1000) : '') },
        ...lines.map(
          (line): uPlot.Series => ({
            label: line.label,
            scale: line.scale ?? 'y',
            stroke: colours[line.colour],
            width: line.sparse ? 0 : 1.75,
            dash: line.dash ?? [],
            spanGaps: false,
            points: { show: line.sparse ?? false, size: 5, fill: colours[line.colour], stroke: colours[line.colour] },
            value: (_plot, value) => plain(value ?? NaN, line.digits),
          }),
        ),
      ],
    };
  }

  /** The range of values, with the reference lines in it. */
  private valueRange(low: number | null, high: number | null): [number, number] {
    return valueRange(low, Math.max(high ?? 0, ...this.references.map((each) => each.value)));
  }

  private onSelect(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 8) return;
    this.zoomed([plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')]);
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  private onCursor(): void {
    this.showLast();
    const { plot, content } = this;
    if (!plot || !content) return;
    const left = plot.cursor.left ?? -1;
    const near = left < 0 ? [] : marksNear(content.marks, (ms) => plot.valToPos(ms / 1000, 'x'), left);
    const text = near.map((mark) => `${clockText(mark.ms)} ${mark.text}`).join(' · ');
    if (this.note.textContent !== text) this.note.textContent = text;
  }

  private drawReferences(plot: uPlot): void {
    const pen = plot.ctx;
    const { left, width, top } = plot.bbox;
    for (const { label, colour, value } of this.references) {
      const y = plot.valToPos(value, 'y', true);
      if (y < top) continue;
      pen.save();
      pen.strokeStyle = pen.fillStyle = this.content!.colours[colour];
      pen.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
      pen.beginPath();
      pen.moveTo(left, y);
      pen.lineTo(left + width, y);
      pen.stroke();
      pen.font = labelFont(devicePixelRatio);
      pen.textAlign = 'right';
      pen.textBaseline = 'top'; // above it, prices that are a little higher would run through it
      pen.setLineDash([]);
      pen.lineWidth = 3 * devicePixelRatio;
      pen.lineJoin = 'round';
      pen.strokeStyle = this.content!.colours.card;
      pen.strokeText(label, left + width - 4, y + 3);
      pen.fillText(label, left + width - 4, y + 3);
      pen.restore();
    }
  }

  private drawMarks(plot: uPlot): void {
    const { marks, colours } = this.content!;
    const pen = plot.ctx;
    const { left, width, top, height } = plot.bbox;
    const half = 3.5 * devicePixelRatio;
    pen.save();
    pen.lineWidth = devicePixelRatio;
    for (const { ms } of marks) {
      const x = plot.valToPos(ms / 1000, 'x', true);
      if (x < left || x > left + width) continue;
      pen.strokeStyle = colours.muted;
      pen.setLineDash([2, 3]);
      pen.beginPath();
      pen.moveTo(x, top);
      pen.lineTo(x, top + height);
      pen.stroke();
      pen.setLineDash([]);
      pen.fillStyle = colours.event;
      pen.strokeStyle = colours.ink;
      pen.beginPath();
      pen.moveTo(x, top - half);
      pen.lineTo(x + half, top);
      pen.lineTo(x, top + half);
      pen.lineTo(x - half, top);
      pen.closePath();
      pen.fill();
      pen.stroke();
    }
    pen.restore();
  }
}

function valueRange(low: number | null, high: number | null): [number, number] {
  const top = Math.max(high ?? 0, 1e-9);
  return [Math.min(low ?? 0, 0) * 1.05, top > 1e-6 ? top * 1.08 : 1];
}

/** Labels of an axis, all with as many decimals as the finest of them needs. */
function axisLabels(values: number[]): string[] {
  const decimals = values.map((value) => String(+value.toFixed(3)).split('.')[1]?.length ?? 0);
  return values.map((value) => plain(value, Math.max(...decimals)));
}
