// The roles of devices as people read them.

import type { DeviceRole } from '../model/devices';
import type { Site } from '../model/site';

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

/** What people call the devices of a role on this site: by their kind where they have only one, else by the role. */
export function nameOfRole(site: Site, role: DeviceRole): string {
  const kinds = site.devices.count().get(role);
  const [only] = kinds ? [...kinds] : [];
  if (!kinds || !only) return ROLE_NAMES[role];
  const [kind, count] = only;
  if (kinds.size > 1) return ROLE_NAMES[role];
  return count === 1 ? kind : plural(kind);
}

function plural(kind: string): string {
  return /[^aeiou]y$/.test(kind) ? `${kind.slice(0, -1)}ies` : /(s|x|ch|sh)$/.test(kind) ? `${kind}es` : `${kind}s`;
}
