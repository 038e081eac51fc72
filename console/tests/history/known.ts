// Everything that a page knows of a site, as one text, with maps in the order of their keys.

import type { Site } from '../../src/model/site';

/** Real times of animations, and what a page holds of its own rather than of the site. */
const OWN = new Set(['movedAt', 'before', 'resets', 'viewing', 'runState', 'frozen', 'fromServer', 'rejected', 'receipts', 'calls', 'trace', 'counts']);

export function known(site: Site): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (path: string, value: unknown): void => {
    if (typeof value === 'function') return;
    if (value instanceof Map) {
      found.set(path, `map of ${value.size}`);
      for (const [key, each] of value) walk(`${path}[${String(key)}]`, each);
    } else if (value !== null && typeof value === 'object') {
      if (Array.isArray(value)) found.set(path, `list of ${value.length}`);
      for (const [name, each] of Object.entries(value)) if (!OWN.has(name)) walk(`${path}.${name}`, each);
    } else found.set(path, typeof value === 'number' ? value.toPrecision(12) : String(value));
  };
  walk('site', site);
  return found;
}
