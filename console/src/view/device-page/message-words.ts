// A message as a sentence: what a bid, an award or a lease says.

import { kwh, price } from '../../format';
import { describeControl } from '../../model/event-log';
import type { Traced } from '../../model/message-trace';
import { DECLINE_REASONS } from '../../model/event-log';

type Lots = readonly { energy_wh: number; price_ueur_per_kwh: number }[];

/** Who says what to whom, for example `house-1 bids to cell-1-1: 10 kWh at 1.000 €/kWh`. */
export function messageWords(traced: Traced): string {
  const { sender, scope } = traced;
  const to = scope[0] ?? '';
  switch (traced.type) {
    case 'supply':
      return `${sender} offers ${kwh(traced.message.energy_wh)} to ${to}`;
    case 'bid':
      return traced.message.packages.length ? `${sender} bids in ${to}: ${lotsWords(traced.message.packages)}` : `${sender} bids in ${to} for nothing`;
    case 'award':
      return `${sender} awards ${to} ${lotsWords(traced.message.lots)}`;
    case 'receipt':
      return traced.message.lots.length ? `${sender} accepts from ${to} ${lotsWords(traced.message.lots)}` : `${sender} accepts nothing from ${to}`;
    case 'call':
      return `${sender} asks the chargers of ${to} for ${kwh(traced.message.energy_wh)}, for at most ${price(traced.message.limit_ueur_per_kwh)}`;
    case 'lease':
      return `${sender} keeps ${kwh(traced.message.energy_wh)} for ${to}, at ${price(traced.message.price_ueur_per_kwh)}`;
    case 'decline':
      return `${sender} declines ${to}: ${DECLINE_REASONS[traced.message.reason]}`;
    case 'suspension':
      return `${sender} suspends ${to}: ${traced.message.lie}`;
    case 'control':
      return `${sender} requests ${describeControl(to, traced.message.value)}`;
    default:
      return `${sender} publishes its ${traced.type}`;
  }
}

/** Energy and price of lots: `12 kWh at 0.300 €/kWh`, or the range of prices. */
export function lotsWords(lots: Lots): string {
  const prices = lots.map((each) => each.price_ueur_per_kwh);
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  const energy = kwh(lots.reduce((sum, each) => sum + each.energy_wh, 0));
  return low === high ? `${energy} at ${price(low)}` : `${energy} at ${price(low).replace(' €/kWh', '')} to ${price(high)}`;
}
