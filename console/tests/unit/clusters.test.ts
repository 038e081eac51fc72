import { beforeEach, expect, it } from 'vitest';
import { placeName } from '../../src/model/places';
import { clustersOf } from '../../src/view/map/clusters';
import { GERMANY, Viewport } from '../../src/view/map/viewport';
import { presence, TestSite } from './publications';

let test: TestSite;
beforeEach(() => {
  test = new TestSite();
  for (let number = 0; number < 6; number++) test.receive(`presence/c/charger/c-${number}`, presence('charger', 'c', { online: number > 0 }));
});
const spots = (...places: [number, number][]) => places.map(([x, y], index) => ({ device: test.site.devices.get(`c-${index}`)!, x, y }));

it('gathers devices that lie on each other, and draws the others one by one', () => {
  const { alone, clusters } = clustersOf(spots([10, 10], [12, 11], [14, 12], [16, 13], [300, 10], [302, 10]), [0, 0], new Set());
  expect(alone.map((each) => each.device.id)).toEqual(['c-4', 'c-5']);
  expect(clusters).toEqual([{ x: 13, y: 11.5, count: 4, roles: new Map([['charger', 4]]), offline: 1 }]);
});

it('never hides the selected device in a cluster', () => {
  const found = clustersOf(spots([10, 10], [12, 11], [14, 12], [16, 13], [18, 14]), [0, 0], new Set(['c-2']));
  expect(found.alone.map((each) => each.device.id)).toEqual(['c-2']);
  expect(found.clusters[0]?.count).toBe(4);
});

it('keeps the squares on the ground while the map moves', () => {
  const at = (shift: number) => clustersOf(spots([10 + shift, 10], [12 + shift, 10], [50 + shift, 10], [51 + shift, 10]), [shift, 0], new Set());
  expect(at(0).clusters.length).toBe(at(37).clusters.length);
});

it('does not move beyond the area', () => {
  const view = new Viewport();
  [view.width, view.height] = [800, 600];
  view.zoomBy(4, [51, 10]);
  for (let step = 0; step < 50; step++) view.pan(400, 300);
  const [x, y] = view.projection()(GERMANY.north, GERMANY.west);
  expect([x, y].map(Math.round)).toEqual([400, 300]); // a corner of the area comes no farther than the middle
  const place = view.placeAt(...view.projection()(52, 9));
  expect(place.map((each) => each.toFixed(6))).toEqual(['52.000000', '9.000000']);
});

it('names the nearest city', () => {
  expect(placeName(51.31, 9.48)).toBe('Kassel');
  expect(placeName(51.2, 9.2)).toBe('23 km from Kassel');
  expect(placeName(40, 0)).toBe('');
});
