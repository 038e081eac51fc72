import { expect, it } from 'vitest';
import { linkText, parseLink } from '../../src/model/link';

it.each([
  [{ tick: 40, device: 'charger-03' }, '#t=41&device=charger-03'],
  [{ tick: null, device: 'charger-03' }, '#device=charger-03'],
  [{ tick: 0, device: null }, '#t=1'],
  [{ tick: null, device: null }, ''],
])('%o is %s', (link, text) => {
  expect(linkText(link)).toBe(text);
  expect(parseLink(text)).toEqual(link);
});

it.each(['#t=0', '#t=-3', '#t=x', '#t=1.5', '#t=', '#map'])('%s names no tick', (text) => {
  expect(parseLink(text).tick).toBeNull();
});
