// Deep links: the tick and the device that a page shows, in its address, such as `#t=98&device=charger-03`.

export interface Link {
  /** The tick, counted from 0; null for the present. In the address it is counted from 1, as everywhere on the page. */
  tick: number | null;
  device: string | null;
}

export function parseLink(hash: string): Link {
  const fields = new URLSearchParams(hash.replace(/^#/, ''));
  const shown = Number(fields.get('t') ?? NaN);
  return { tick: Number.isInteger(shown) && shown >= 1 ? shown - 1 : null, device: fields.get('device') };
}

export function linkText({ tick, device }: Link): string {
  const fields = [tick === null ? '' : `t=${tick + 1}`, device === null ? '' : `device=${encodeURIComponent(device)}`];
  const text = fields.filter(Boolean).join('&');
  return text ? `#${text}` : '';
}
