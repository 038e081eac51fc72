// The alarms at the top of the page, with the choice of a sound and of notifications by the browser.

import type { Alarm, AlarmKind, Alarms } from '../../model/alarms';
import { Notifier } from './notifier';

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
/** What to search for to find the devices of an alarm. */
const SEARCH: Readonly<Record<Exclude<AlarmKind, 'breach'>, string>> = {
  offline: 'offline',
  unserved: 'not served',
  stranded: 'stranded',
  suspended: 'suspended',
};

export class AlarmBar {
  private readonly notifier: Notifier;
  private readonly list = get('alarms-list');
  private shown = '';
  private dismissed = '';

  constructor(
    private readonly alarms: Alarms,
    site: string,
    private readonly search: (words: string) => void,
  ) {
    this.notifier = new Notifier(site);
    get('alarms-dismiss').addEventListener('click', () => {
      this.dismissed = this.shown;
      this.show([]);
    });
  }

  /** Show the active alarms; sound and notify those that are new. */
  update(raised: readonly Alarm[]): void {
    const { active } = this.alarms;
    const key = active.map((alarm) => alarm.text).join('\n');
    if (key !== this.dismissed) this.dismissed = '';
    if (!this.dismissed) this.show(active);
    if (raised.length) this.notifier.raise(raised.map((alarm) => alarm.text));
  }

  private show(alarms: readonly Alarm[]): void {
    const key = alarms.map((alarm) => alarm.text).join('\n');
    if (key === this.shown && get('alarms').hidden === !alarms.length) return;
    if (alarms.length) this.shown = key;
    get('alarms').hidden = !alarms.length;
    this.list.replaceChildren(
      ...alarms.map(({ kind, text }) => {
        const row = document.createElement('li');
        row.className = kind;
        const words = document.createElement('span');
        words.textContent = text;
        row.append(words);
        if (kind === 'breach') return row;
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = 'Show';
        button.setAttribute('aria-label', `Show the devices: ${text}`);
        button.addEventListener('click', () => this.search(SEARCH[kind]));
        row.append(button);
        return row;
      }),
    );
  }
}
