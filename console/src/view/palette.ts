// The colour of each quantity, as in dashboards/plots/style.py (a test compares the two).

import type { DeviceRole } from '../model/devices';

export const COLOURS = {
  wind: ['#0072b2', '#4aa8e0'],
  reactor: ['#d55e00', '#f0803c'],
  consumer: ['#b8578f', '#dd8fbc'],
  charger: ['#009e73', '#2cc498'],
  vehicle: ['#b98600', '#e6b422'],
  storage: ['#9b30e8', '#b45cff'],
  imported: ['#56b4e9', '#8fd0f5'],
  curtailed: ['#9aa0a8', '#7b828c'],
  price: ['#5a4a9c', '#a99be8'],
  event: ['#e8c400', '#f5dc50'],
  ink: ['#1b1f24', '#e9ecef'],
  muted: ['#5c6670', '#a4adb6'],
  grid: ['#dde1e6', '#343b43'],
} as const;
export type ColourName = keyof typeof COLOURS;

export const PAPER = { paper: ['#ffffff', '#14181d'], card: ['#f6f7f9', '#1c2229'], land: ['#e9edf1', '#222a32'] } as const;

export type Theme = 'light' | 'dark';
export type Colours = Record<ColourName | keyof typeof PAPER, string>;

export function colours(theme: Theme): Colours {
  const at = theme === 'light' ? 0 : 1;
  const pairs = Object.entries({ ...COLOURS, ...PAPER }).map(([name, pair]) => [name, pair[at]]);
  return Object.fromEntries(pairs) as Colours;
}

/** The colour of each role, on the map and in charts. */
export const ROLE_COLOUR: Readonly<Record<DeviceRole, ColourName>> = {
  producer: 'wind',
  consumer: 'consumer',
  storage: 'storage',
  charger: 'charger',
  vehicle: 'vehicle',
  'grid-supply': 'reactor',
};
