import { beforeEach, expect, it } from 'vitest';
import { chargersOut } from '../../src/model/chargers-out';
import { chargersEffect, endEffect } from '../../src/view/controls/effects';
import { presence, TestSite, tick } from './publications';

let test: TestSite;
beforeEach(() => {
  test = new TestSite();
  for (let number = 1; number <= 20; number++) {
    test.receive(`presence/${number > 10 ? 'north' : 'south'}/charger/charger-${number}`, presence('charger', number > 10 ? 'north' : 'south'));
  }
  test.receive('tick/clock', tick(11));
});
const matches = (value: string): string => chargersOut(test.site, value).matches.join(' ');

it('finds chargers by id, cell and share as the chargers themselves do', () => {
  expect(matches('charger-3, charger-7')).toBe('charger-3 charger-7');
  expect(chargersOut(test.site, 'north').matches).toHaveLength(10);
  expect(chargersOut(test.site, 'all').matches).toHaveLength(20);
  // the values of devices/charging/out_of_service.py
  expect(matches('25%')).toBe('charger-10 charger-20 charger-3 charger-6');
  expect(matches('10%')).toBe('charger-10');
});

it('says how many chargers match, and refuses parts that match none', () => {
  expect(chargersEffect(test.site, 'north')).toEqual({ text: 'Matches 10 of 20 chargers.', wrong: false });
  expect(chargersEffect(test.site, 'charger-3').text).toBe('Matches 1 of 20 chargers: charger-3.');
  expect(chargersEffect(test.site, '').text).toBe('All 20 chargers are in service.');
  for (const value of ['nonsense', 'charger-3, charger-99', '120%', 'a*b']) expect(chargersEffect(test.site, value).wrong).toBe(true);
  expect(chargersEffect(test.site, 'charger-3, charger-99').text).toMatch(/^charger-99 matches no charger: /);
});

it('refuses an end in the past, and says when the run will end', () => {
  expect(endEffect(test.site, '5')).toEqual({ text: 'Tick 5 is past: the run is in tick 12. Enter 12 or more.', wrong: true });
  expect(endEffect(test.site, '12')).toEqual({ text: 'The run ends with the present tick.', wrong: false });
  expect(endEffect(test.site, '16').text).toBe('The run ends in 4 ticks, after an hour of simulated time.');
  for (const value of ['', '12.5', 'x']) expect(endEffect(test.site, value).wrong).toBe(true);
});
