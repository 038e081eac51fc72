// The charts over time, which all show the same range of it.

import { clockText } from '../../format';
import type { Site } from '../../model/site';
import type { Colours } from '../palette';
import { CHARTS } from './catalog';
import { marksOf, type Mark } from './marks';
import { Plot, type TimeRange } from './plot';

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
/** So many events are listed above the charts. */
const LISTED = 4;

export class Charts {
  private readonly plots: Plot[];
  private shown = '';
  /** A range that was dragged; null for what the field says. */
  private dragged: TimeRange = null;
  private readonly hours = get<HTMLSelectElement>('charts-hours');

  constructor(
    parent: HTMLElement,
    private readonly site: Site,
    private colours: Colours,
  ) {
    this.plots = CHARTS.map((chart) => new Plot(parent, chart, (range) => this.zoom(range)));
    this.hours.addEventListener('change', () => this.zoom(null));
    get('charts-all').addEventListener('click', () => {
      this.hours.value = '';
      this.zoom(null);
    });
  }

  recolour(colours: Colours): void {
    this.colours = colours;
    this.update(true);
  }

  /** Draw again when another tick has finished, or another event has come. */
  update(rebuild = false): void {
    const { log, tick } = this.site;
    const marks = marksOf(log);
    const key = `${tick?.epoch} ${tick?.tick} ${marks.length}`;
    if (key === this.shown && !rebuild) return;
    this.shown = key;
    const totals = this.site.history.finished().filter((each) => each.ms > 0);
    const content = { site: this.site, totals, marks, range: this.range(totals.at(-1)?.ms ?? 0), colours: this.colours };
    for (const plot of this.plots) plot.show(content, rebuild);
    this.listMarks(marks);
  }

  private zoom(range: TimeRange): void {
    this.dragged = range;
    get('charts-all').hidden = !range && this.hours.value === '';
    const newest = this.site.history.finished().at(-1)?.ms ?? 0;
    for (const plot of this.plots) plot.range = this.range(newest);
  }

  /** The range to show, in seconds: what was dragged, else the last hours up to the newest tick. */
  private range(newestMs: number): TimeRange {
    const hours = Number(this.hours.value);
    return this.dragged ?? (hours ? [newestMs / 1000 - hours * 3600, newestMs / 1000] : null);
  }

  private listMarks(marks: readonly Mark[]): void {
    const holder = get('charts-marks');
    const text = marks.slice(-LISTED).map(({ ms, text }) => `◆ ${clockText(ms)} ${text}`).join('   ');
    if (holder.textContent !== text) holder.textContent = text;
  }
}
