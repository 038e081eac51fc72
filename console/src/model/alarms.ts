// What an operator must know: devices offline, energy not served, stranded vehicles, suspended devices,
// and at the end of a run breaches that the auditor has found.

import { isShort } from './devices';
import type { Site } from './site';
import type { Drill } from './status';

export type AlarmKind = 'offline' | 'unserved' | 'stranded' | 'suspended' | 'breach';
export interface Alarm {
  kind: AlarmKind;
  /** What is wrong, for the banner and the notification. */
  text: string;
  devices: readonly string[];
}

/** What must last this long before it is an alarm, in ms: a device that reconnects at once is none. */
const LASTS_MS = 2_000;
const NAMED = 4;
/** How often the devices are looked through, in ms. */
const EVERY_MS = 500;
const WORDS: Readonly<Record<Exclude<AlarmKind, 'breach'>, (count: string) => string>> = {
  offline: (count) => `${count} offline`,
  unserved: (count) => `${count} without all the energy wanted`,
  stranded: (count) => `${count} stranded`,
  suspended: (count) => `${count} suspended`,
};

export class Alarms {
  /** The alarms that are active, the worst first. */
  active: readonly Alarm[] = [];
  /** Since when each device has had its trouble, by `kind device`, in real ms. */
  private since = new Map<string, number>();
  private announced = new Set<string>();
  private foundAt = -Infinity;

  constructor(private readonly site: Site) {}

  /** Find what is wrong at a real time; return the alarms that are new, or name devices that they did not name before. */
  update(nowMs: number, drill: Drill): readonly Alarm[] {
    if (nowMs - this.foundAt < EVERY_MS) return [];
    this.foundAt = nowMs;
    const found = this.find(nowMs, drill);
    const since = new Map<string, number>();
    const lasting: Alarm[] = [];
    for (const [kind, devices] of found) {
      const named = devices.filter((device) => {
        const key = `${kind} ${device}`;
        const at = this.since.get(key) ?? nowMs;
        since.set(key, at);
        return nowMs - at >= LASTS_MS;
      });
      if (named.length) lasting.push({ kind, text: describe(kind, named), devices: named });
    }
    this.since = since;
    const breach = this.breach();
    if (breach) lasting.unshift(breach);
    this.active = lasting;
    const subjects = (alarm: Alarm): string[] =>
      alarm.devices.length === 0 || alarm.kind === 'unserved' ? [alarm.kind] : alarm.devices.map((device) => `${alarm.kind} ${device}`);
    const raised = lasting.filter((alarm) => subjects(alarm).some((subject) => !this.announced.has(subject)));
    this.announced = new Set(lasting.flatMap(subjects));
    return raised;
  }

  /** What the auditor found, once the run is over; the page's line about the end shows it, too. */
  private breach(): Alarm | null {
    const run = this.site.runState;
    if (!run || run.good || !['finished', 'stopped'].includes(run.state)) return null;
    return { kind: 'breach', text: run.result ?? 'The run has ended with breaches', devices: [] };
  }

  private find(nowMs: number, drill: Drill): Map<Exclude<AlarmKind, 'breach'>, string[]> {
    const found = new Map<Exclude<AlarmKind, 'breach'>, string[]>([['offline', []], ['unserved', []], ['stranded', []], ['suspended', []]]);
    const { run, devices, viewing } = this.site;
    if (!viewing.live || run.finished || !run.clockOnline || !run.liveTickSeen) return new Map();
    for (const device of devices.all.values()) {
      if (!device.online) {
        if (!drill.explainsOffline(nowMs)) found.get('offline')!.push(device.id);
        continue;
      }
      if (isShort(device.state)) found.get('unserved')!.push(device.id);
      if (device.role === 'vehicle' && device.state?.status === 'stranded') found.get('stranded')!.push(device.id);
      if (this.site.suspensionOf(device.id)) found.get('suspended')!.push(device.id);
    }
    return found;
  }
}

function describe(kind: Exclude<AlarmKind, 'breach'>, devices: readonly string[]): string {
  const noun = kind === 'unserved' ? 'consumer' : kind === 'stranded' ? 'vehicle' : 'device';
  const count = `${devices.length} ${noun}${devices.length === 1 ? '' : 's'}`;
  const named = devices.slice(0, NAMED).join(', ');
  const more = devices.length > NAMED ? ` and ${devices.length - NAMED} more` : '';
  return `${WORDS[kind](count)}: ${named}${more}`;
}
