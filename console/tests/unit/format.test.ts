import { expect, it } from 'vitest';
import { figure, kw, plain } from '../../src/format';

it('writes figures short, with their unit', () => {
  expect(figure(20.25, '°C')).toBe('20.25 °C');
  expect(figure(3, '')).toBe('3');
  expect(figure(100, '%')).toBe('100 %');
  expect(figure(1234.5678, 'l')).toBe('1\u202f235 l');
  expect(figure(0.05, 'bar')).toBe('0.05 bar');
  expect(figure(-0.5, '')).toBe('−0.5');
  expect(figure(0, '')).toBe('0');
  expect(figure(2e12, '')).toBe('2.000e+12');
  expect(figure(-2e-9, '')).toBe('−2.000e−9');
  expect(figure(undefined, '°C')).toBe('–');
});

it('writes no negative zero', () => {
  expect(kw(-3)).toBe('0.0 kW');
  expect(plain(-0.4)).toBe('0');
  expect(plain(-0.6)).toBe('−1');
});
