// One deal of a tick, from the messages that made it: a bid, the award that answers it, and the receipt.

import type { Traced } from './message-trace';
import type { Site } from './site';

export interface Deal {
  bid: Traced | null;
  award: Traced;
  receipt: Traced | null;
}
export interface TickExample {
  tick: number;
  supply: Traced | null;
  /** A deal within a cell, and one with another cell or the grid supply; null where there was none. */
  own: Deal | null;
  imported: Deal | null;
  /** The account of the buyer, if it is of this tick. */
  account: { device: string; bought_wh: number; paid_neur: number } | null;
}

/** So many messages are searched for a deal. */
const SEARCHED = 4_000;

/** The example of the newest tick in which something was sold; null where nothing is known. */
export function tickExample(site: Site): TickExample | null {
  const now = site.tick?.tick;
  if (now === undefined) return null;
  const messages = site.trace.latest(SEARCHED, (each) => 'tick' in each.message && each.message.tick >= now - 1);
  for (const tick of [now, now - 1]) {
    const ofTick = messages.filter(({ message }) => 'tick' in message && message.tick === tick);
    const awards = ofTick.filter((each) => each.type === 'award' && each.message.lots.length > 0);
    const isImport = ({ sender, scope }: Traced): boolean => {
      const [seller, buyer] = [site.devices.get(sender), site.devices.get(scope[0] ?? '')];
      return seller?.role === 'grid-supply' || seller?.cell !== buyer?.cell;
    };
    const dealOf = (award: Traced | undefined): Deal | null => {
      if (!award) return null;
      const buyer = award.scope[0];
      const serial = award.type === 'award' ? award.message.serial : -1;
      return {
        award,
        bid: ofTick.find((each) => each.type === 'bid' && each.sender === buyer) ?? null,
        receipt: ofTick.find((each) => each.type === 'receipt' && each.sender === buyer && each.scope[0] === award.sender && each.message.serial === serial) ?? null,
      };
    };
    // The oldest award first: it stays the example while others come.
    const oldest = [...awards].reverse();
    const [own, imported] = [oldest.find((each) => !isImport(each)), oldest.find(isImport)].map(dealOf);
    if (!own && !imported && tick === now) continue;
    const buyer = (own ?? imported)?.award.scope[0];
    const state = buyer ? site.devices.get(buyer)?.state : null;
    const account = state && 'bought_wh' in state && state.tick === tick && buyer ? { device: buyer, bought_wh: state.bought_wh, paid_neur: state.paid_neur } : null;
    const supply = ofTick.find((each) => each.type === 'supply' && each.message.energy_wh > 0) ?? null;
    return { tick, supply, own: own ?? null, imported: imported ?? null, account };
  }
  return null;
}
