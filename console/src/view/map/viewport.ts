// The part of the world that the map shows: bounds, zoom and the projection to pixels.

export interface Bounds {
  south: number;
  north: number;
  west: number;
  east: number;
}
export type Place = readonly [latitude: number, longitude: number];
export type Projection = (latitude: number, longitude: number) => [x: number, y: number];

export const GERMANY: Bounds = { south: 47.27, north: 55.06, west: 5.87, east: 15.04 };
const MAX_ZOOM = 24;

export class Viewport {
  bounds: Bounds = GERMANY;
  zoom = 1;
  width = 0;
  height = 0;
  private centre: Place | null = null;

  get isZoomed(): boolean {
    return this.zoom > 1;
  }

  /** Zoom about a place, or about the present centre; a factor of 0 shows everything again. */
  zoomBy(factor: number, about: Place | null): void {
    this.zoom = factor === 0 ? 1 : Math.max(1, Math.min(MAX_ZOOM, this.zoom * factor));
    if (!this.isZoomed) this.centre = null;
    else if (about) this.centre = this.limited(about);
    else if (this.centre) this.centre = this.limited(this.centre);
  }

  /** Move the map by pixels; only when it is zoomed in. */
  pan(dx: number, dy: number): void {
    if (!this.isZoomed) return;
    const [latitude, longitude] = this.middle();
    const scale = this.scale();
    this.centre = this.limited([latitude + dy / scale, longitude - dx / (scale * this.squeeze())]);
  }

  /** The place at a point of the screen. */
  placeAt(x: number, y: number): Place {
    const [latitude, longitude] = this.middle();
    const scale = this.scale();
    return [latitude - (y - this.height / 2) / scale, longitude + (x - this.width / 2) / (scale * this.squeeze())];
  }

  /** The nearest place within the area: its middle never leaves the window. */
  private limited([latitude, longitude]: Place): Place {
    const { south, north, west, east } = this.bounds;
    return [clamp(latitude, south, north), clamp(longitude, west, east)];
  }

  /** The projection from degrees to pixels; a degree of longitude is shortened as at the middle latitude. */
  projection(): Projection {
    const [latitude0, longitude0] = this.middle();
    const scale = this.scale();
    const across = scale * this.squeeze();
    const [x0, y0] = [this.width / 2, this.height / 2];
    return (latitude, longitude) => [x0 + (longitude - longitude0) * across, y0 - (latitude - latitude0) * scale];
  }

  private middle(): Place {
    const { south, north, west, east } = this.bounds;
    return this.centre ?? [(south + north) / 2, (west + east) / 2];
  }

  private squeeze(): number {
    const { south, north } = this.bounds;
    return Math.cos((((south + north) / 2) * Math.PI) / 180);
  }

  /** Pixels per degree of latitude. */
  private scale(): number {
    const { south, north, west, east } = this.bounds;
    const margin = this.width < 500 ? 16 : 28;
    const wide = (this.width - 2 * margin) / ((east - west) * this.squeeze());
    return this.zoom * Math.min(wide, (this.height - 2 * margin) / (north - south));
  }
}

/** Bounds around places with a margin; all of Germany for large sites in it, unless `isTight`. */
export function boundsAround(places: readonly Place[], isTight: boolean): Bounds {
  let [south, north, west, east] = [90, -90, 180, -180];
  for (const [latitude, longitude] of places) {
    south = Math.min(south, latitude);
    north = Math.max(north, latitude);
    west = Math.min(west, longitude);
    east = Math.max(east, longitude);
  }
  const inGermany = west > 5.5 && east < 15.5 && south > 47 && north < 55.3;
  if (inGermany && !isTight && (north - south > 3 || east - west > 3)) return GERMANY;
  const [dy, dx] = [Math.max(north - south, 0.02) * 0.08, Math.max(east - west, 0.02) * 0.08];
  return { south: south - dy, north: north + dy, west: west - dx, east: east + dx };
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}
