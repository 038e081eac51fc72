// The roles of devices as people read them.

import type { DeviceRole } from '../model/devices';

export const ROLE_NAME: Readonly<Record<DeviceRole, string>> = {
  producer: 'producer',
  consumer: 'consumer',
  storage: 'storage',
  charger: 'charger',
  vehicle: 'vehicle',
  'grid-supply': 'grid supply',
};
export const ROLE_NAMES: Readonly<Record<DeviceRole, string>> = {
  producer: 'producers',
  consumer: 'consumers',
  storage: 'storages',
  charger: 'chargers',
  vehicle: 'vehicles',
  'grid-supply': 'grid supplies',
};

/** Counts of kinds as text, most frequent first: `8 turbine, 2 solar`. */
export function kindCounts(kinds: ReadonlyMap<string, number>): string {
  return [...kinds]
    .sort(([one, many], [other, more]) => more - many || (one < other ? -1 : 1))
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
}
