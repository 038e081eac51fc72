// What each control does, in one line that stands below it.

import type { Site } from '../../model/site';
import { chargersOut } from '../../model/chargers-out';
import { plain } from '../../format';
import { SCALES } from '../../model/event-log';
import type { Mode } from '../../model/messages';

export const SCALE_EFFECTS: Readonly<Record<(typeof SCALES)[number], readonly [label: string, effect: string]>> = {
  consumer_scale: ['Consumer demand', 'Multiplies the energy that consumers want.'],
  vehicle_scale: ['Driving', 'Multiplies how often vehicles set out.'],
  turbine_scale: ['Turbine output', 'Multiplies what turbines generate; 0 stops them.'],
  wind_scale: ['Wind speed', 'Multiplies the wind speed; a turbine’s power grows with its cube.'],
};
export const MODE_EFFECTS: Readonly<Record<Mode, string>> = {
  lockstep: 'A tick ends as soon as all devices are ready: as fast as possible.',
  scaled: 'Every tick takes the same time: so many seconds for 15 simulated minutes.',
  realtime: 'A tick takes 15 minutes, as on the wall clock.',
};
/** What the shipped offer rankings and clearing rules do; others have no line. */
const CHOICE_EFFECTS: Readonly<Record<string, string>> = {
  weighted: 'By distance, price and energy together.',
  best: 'The lowest cost of the whole charge.',
  cheapest: 'The lowest price per kWh.',
  closest: 'The closest charger.',
  random: 'At random.',
  'pay-as-bid': 'Each buyer pays its own bid; from the next tick on.',
  'uniform-price': 'All buyers pay the lowest bid that is served; from the next tick on.',
};

export function choiceEffect(name: string): string {
  return CHOICE_EFFECTS[name] ?? (name ? `The rule ${name} of another package.` : '');
}

/** What a number of ticks means for a run, and what is wrong with it. */
export function endEffect(site: Site, value: string): { text: string; wrong: boolean } {
  const { tick } = site.run;
  if (!tick) return { text: '', wrong: false };
  const [now, wanted] = [tick.tick + 1, Number(value)];
  if (value.trim() === '' || !Number.isInteger(wanted)) return { text: `Enter a whole number from ${plain(now)} on.`, wrong: true };
  if (wanted < now) return { text: `Tick ${plain(wanted)} is past: the run is in tick ${plain(now)}. Enter ${plain(now)} or more.`, wrong: true };
  const left = wanted - now;
  if (!left) return { text: 'The run ends with the present tick.', wrong: false };
  return { text: `The run ends in ${plain(left)} ${left === 1 ? 'tick' : 'ticks'}, after ${hours(left)} of simulated time.`, wrong: false };
}

/** Which chargers a list takes out of service, and what is wrong with it. */
export function chargersEffect(site: Site, value: string): { text: string; wrong: boolean } {
  const { matches, chargers, unmatched } = chargersOut(site, value);
  if (unmatched.length) {
    const what = unmatched.join(', ');
    return { text: `${what} matches no charger: enter ids, cells, a share such as 25%, or all.`, wrong: true };
  }
  if (!value.trim()) return { text: `All ${plain(chargers)} chargers are in service.`, wrong: false };
  const named = matches.length <= 3 ? `: ${matches.join(', ')}` : '';
  return { text: `Matches ${plain(matches.length)} of ${plain(chargers)} chargers${matches.length ? named : ''}.`, wrong: false };
}

function hours(ticks: number): string {
  if (ticks < 4) return `${15 * ticks} minutes`;
  return ticks === 4 ? 'an hour' : `${plain(ticks / 4, ticks % 4 ? 2 : 0)} hours`;
}
