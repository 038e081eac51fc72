import { expect, it } from 'vitest';
import { boundsAround, GERMANY, Viewport } from '../../src/view/map/viewport';

function viewport(): Viewport {
  const view = new Viewport();
  view.width = 800;
  view.height = 600;
  return view;
}

it('shows all of its bounds, with north at the top', () => {
  const project = viewport().projection();
  const [left, top] = project(GERMANY.north, GERMANY.west);
  const [right, bottom] = project(GERMANY.south, GERMANY.east);
  expect([left >= 28, right <= 772]).toEqual([true, true]);
  expect([top, bottom].map(Math.round)).toEqual([28, 572]);
});

it('zooms about a place, at most 24 times, and shows everything again', () => {
  const view = viewport();
  view.zoomBy(1.5, [52, 10]);
  expect(view.projection()(52, 10)).toEqual([400, 300]);
  view.zoomBy(1_000, null);
  expect(view.zoom).toBe(24);
  view.zoomBy(0, null);
  expect([view.zoom, view.isZoomed]).toEqual([1, false]);
  expect(view.projection()(52, 10)).toEqual(viewport().projection()(52, 10));
});

it('moves with the pointer when zoomed in, and stays when not', () => {
  const view = viewport();
  const before = view.projection()(52, 10);
  view.pan(30, 20);
  expect(view.projection()(52, 10)).toEqual(before);
  view.zoomBy(2, [52, 10]);
  view.pan(30, 20);
  const [x, y] = view.projection()(52, 10);
  expect([Math.round(x), Math.round(y)]).toEqual([430, 320]);
});

it('fits large sites in Germany to Germany, others to their places with a margin', () => {
  expect(boundsAround([[48, 8], [54, 13]], false)).toEqual(GERMANY);
  expect(boundsAround([[48, 8], [54, 13]], true).north).toBeCloseTo(54.48);
  expect(boundsAround([[40, 0], [50, 10]], false)).toEqual({ south: 39.2, north: 50.8, west: -0.8, east: 10.8 });
  const single = boundsAround([[52, 10]], false);
  expect(single.north - single.south).toBeGreaterThan(0);
});
