// Numbers and times as people read them. Messages count in Wh, W, µEUR/kWh, nEUR and ms.

const two = (value: number): string => String(value).padStart(2, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

export function clockText(ms: number): string {
  const date = new Date(ms);
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
}

export function dayText(ms: number): string {
  const date = new Date(ms);
  return `${DAYS[date.getUTCDay()] ?? ''} ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()] ?? ''}`;
}

export function plain(value: number, digits = 0): string {
  if (!Number.isFinite(value)) return '–';
  const rounded = Number(value.toFixed(Math.min(digits, 20))) === 0 ? 0 : value; // no −0
  return rounded
    .toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .replace(/,/g, '\u202f')
    .replace('-', '−');
}

export function kwh(wh: number): string {
  return Math.abs(wh) >= 10e6 ? `${plain(wh / 1e6, 1)} MWh` : `${plain(wh / 1e3, Math.abs(wh) < 10e3 ? 1 : 0)} kWh`;
}

export function kw(w: number): string {
  return Math.abs(w) >= 10e6 ? `${plain(w / 1e6, 1)} MW` : `${plain(w / 1e3, Math.abs(w) < 10e3 ? 1 : 0)} kW`;
}

export function eur(neur: number): string {
  return `${plain(neur / 1e9, 2)} €`;
}

/** A price, always with three decimals and its unit. */
export function price(ueur: number): string {
  return Number.isFinite(ueur) ? `${plain(ueur / 1e6, 3)} €/kWh` : '–';
}

export function percent(share: number): string {
  return Number.isFinite(share) ? `${Math.round(share * 100)} %` : '–';
}

/** A figure of a device's own, with up to four significant digits after a dot; `–` where it is not reported. */
export function figure(value: number | undefined, unit: string): string {
  if (value === undefined) return '–';
  const size = Math.abs(value);
  const digits = size < 1 ? 4 : Math.max(0, 3 - Math.floor(Math.log10(size)));
  const text =
    size >= 1e9 || (size > 0 && size < 1e-3)
      ? value.toExponential(3).replaceAll('-', '−')
      : plain(value, digits).replace(/\.?0+$/, (zeros) => (digits ? '' : zeros));
  return unit ? `${text} ${unit}` : text;
}
