import { beforeEach, expect, it } from 'vitest';
import { tickExample } from '../../src/model/tick-example';
import { messageWords } from '../../src/view/device-page/message-words';
import { consumerState, lot, presence, TestSite, tick } from './publications';

let test: TestSite;
beforeEach(() => {
  test = new TestSite();
  for (const [role, id, cell] of [['producer', 't-1', 'c'], ['producer', 't-2', 'd'], ['consumer', 'c-1', 'c'], ['grid-supply', 'r-1', 'site']]) {
    test.receive(`presence/${cell}/${role}/${id}`, presence(role!, cell!));
  }
  test.receive('tick/clock', tick(4));
});

const bid = (number: number): void => test.receive('bid/c/c-1', { tick: number, packages: [lot(0, 9_000, 900_000), lot(1, 2_000, 300_000)] });
const award = (seller: string, number: number, serial: number): void =>
  test.receive(`award/c-1/${seller}`, { tick: number, serial, lots: [lot(0, 9_000, 900_000)] });
const receipt = (seller: string, number: number, serial: number): void =>
  test.receive(`receipt/${seller}/c-1`, { tick: number, serial, lots: [lot(0, 9_000, 900_000)] });
const words = (): string[] => {
  const { own, imported } = tickExample(test.site)!;
  return [own, imported].flatMap((deal) => (deal ? [deal.bid, deal.award, deal.receipt] : [])).map((each) => (each ? messageWords(each) : '–'));
};

it('shows a bid, its award and its receipt', () => {
  bid(4);
  award('t-1', 4, 7);
  receipt('t-1', 4, 7);
  expect(words()).toEqual([
    'c-1 bids in c: 11 kWh at 0.300 to 0.900 €/kWh',
    't-1 awards c-1 9.0 kWh at 0.900 €/kWh',
    'c-1 accepts from t-1 9.0 kWh at 0.900 €/kWh',
  ]);
});

it('tells energy of other cells and of the grid supply from that of the own cell', () => {
  bid(4);
  award('t-2', 4, 1);
  award('r-1', 4, 2);
  const example = tickExample(test.site)!;
  expect(example.own).toBeNull();
  expect(example.imported?.award.sender).toBe('t-2');
  expect(example.imported?.receipt).toBeNull();
});

it('shows the tick before until something is sold in the present one', () => {
  bid(4);
  award('t-1', 4, 7);
  test.receive('state/consumer/c-1', consumerState(4, { bought_wh: 9_000, paid_neur: 8_100_000_000 }));
  test.receive('tick/clock', tick(5));
  bid(5);
  expect(tickExample(test.site)).toMatchObject({ tick: 4, account: { device: 'c-1', bought_wh: 9_000, paid_neur: 8_100_000_000 } });
  award('t-1', 5, 1);
  expect(tickExample(test.site)).toMatchObject({ tick: 5, account: null });
});
