import { beforeEach, expect, it } from 'vitest';
import { kw } from '../../src/format';
import { balanceWords, energyFlow } from '../../src/model/energy-flow';
import { consumerState, presence, producerState, storageState, TestSite, tick } from './publications';

let test: TestSite;
beforeEach(() => {
  test = new TestSite();
  for (const [role, id] of [['producer', 't-1'], ['consumer', 'c-1'], ['storage', 's-1'], ['grid-supply', 'r-1']]) {
    test.receive(`presence/c/${role}/${id}`, presence(role!, 'c'));
  }
  test.receive('tick/clock', tick(1));
});

const gridSupplyState = (wh: number): object =>
  producerState(1, { role: 'grid-supply', kind: 'reactor', generated_wh: wh, sold_wh: wh, curtailed_wh: 0 });
const words = (): string => {
  test.receive('tick/clock', tick(2, { phase: 'trade' }));
  const { state, short, long } = balanceWords(energyFlow(test.site.history.settled()), 'The reactor', kw);
  return `${state}: ${short}. ${long}`;
};

it('is unknown before a device has reported', () => {
  expect(words()).toMatch(/^unknown: /);
});

it('has two sides with the same sum', () => {
  test.receive('state/producer/t-1', producerState(1));
  test.receive('state/consumer/c-1', consumerState(1));
  test.receive('state/storage/s-1', storageState(1, { demand_wh: 3_000, bought_wh: 3_000 }));
  test.receive('tick/clock', tick(2));
  const flow = energyFlow(test.site.history.settled())!;
  expect(flow.from).toEqual({ producer: 40_000, storage: 0, 'grid-supply': 0 });
  expect(flow.to).toEqual({ consumer: 20_000, charger: 0, storage: 12_000, curtailed: 8_000, unserved: 0 });
});

it('names a surplus in kW', () => {
  test.receive('state/producer/t-1', producerState(1));
  expect(words()).toBe('surplus: Surplus of 8.0 kW. More is generated than the devices buy; the rest is curtailed.');
});

it('says who covers a shortfall, and what nobody covers', () => {
  test.receive('state/grid-supply/r-1', gridSupplyState(5_000));
  expect(words()).toBe('shortfall: Shortfall of 20 kW. The reactor covers it.');
  test.receive('state/consumer/c-1', consumerState(1, { demand_wh: 6_000, bought_wh: 5_000 }));
  expect(words()).toBe('shortfall: Shortfall of 24 kW. The reactor covers 20 kW, 4.0 kW are not served.');
});

it('says that consumers go short where nobody sells', () => {
  test.receive('state/producer/t-1', producerState(1));
  test.receive('state/consumer/c-1', consumerState(1, { demand_wh: 6_000, bought_wh: 5_000 }));
  expect(words()).toBe(
    'shortfall: Shortfall of 4.0 kW. Consumers do not get all that they want. ' +
      'At the same time 8.0 kW are generated that nobody buys (curtailed).',
  );
});

it('keeps the tick before while the reports of the last one come in', () => {
  test.receive('state/producer/t-1', producerState(1));
  test.receive('state/consumer/c-1', consumerState(1));
  test.receive('tick/clock', tick(2));
  test.receive('state/producer/t-1', producerState(2, { curtailed_wh: 0 }));
  test.receive('tick/clock', tick(3));
  expect(test.site.history.settled()?.tick).toBe(1);
  test.receive('state/consumer/c-1', consumerState(2));
  expect(test.site.history.settled()?.tick).toBe(2);
});
