// The symbols of the roles. Each look is drawn once and then copied.

import { ROLE_COLOUR, type Colours } from '../palette';

export type Pen = CanvasRenderingContext2D;
export const ROTOR_STEPS = 30;

/** Symbols in one set of colours, of one size, for one pixel density. */
export class Symbols {
  private readonly sprites = new Map<string, ImageBitmap>();

  constructor(
    readonly colours: Colours,
    readonly size: number,
    private readonly density: number,
  ) {}

  /** Draw a cached image, made when it is needed for the first time; `reach` is half its width. */
  stamp(pen: Pen, key: string, reach: number, x: number, y: number, draw: (pen: Pen) => void): void {
    const half = Math.ceil(reach * this.size + 2);
    let sprite = this.sprites.get(key);
    if (!sprite) {
      const pixels = Math.ceil(2 * half * this.density);
      const canvas = new OffscreenCanvas(pixels, pixels);
      const inner = canvas.getContext('2d') as unknown as Pen;
      inner.scale(this.density, this.density);
      inner.translate(half, half);
      inner.scale(this.size, this.size);
      inner.lineCap = inner.lineJoin = 'round';
      draw(inner);
      sprite = canvas.transferToImageBitmap();
      this.sprites.set(key, sprite);
    }
    // On whole pixels, an image is copied and not resampled.
    const snap = (at: number): number => Math.round((at - half) * this.density) / this.density;
    pen.drawImage(sprite, snap(x), snap(y), sprite.width / this.density, sprite.height / this.density);
  }

  /** A rotor, which turns with the power. */
  producer(pen: Pen, step: number, strength: number, outdated: boolean): void {
    const colour = outdated ? this.colours.muted : this.colours[ROLE_COLOUR.producer];
    pen.scale(1.25, 1.25);
    pen.strokeStyle = colour;
    pen.lineWidth = 1.6;
    pen.beginPath();
    pen.moveTo(0, 0);
    pen.lineTo(0, 14);
    pen.stroke();
    pen.fillStyle = colour;
    for (let blade = 0; blade < 3; blade++) {
      pen.save();
      pen.rotate(((blade + step / ROTOR_STEPS) * 2 * Math.PI) / 3);
      pen.globalAlpha = strength ? 1 : 0.55;
      pen.beginPath();
      pen.moveTo(-1.1, -1);
      pen.quadraticCurveTo(-2.4, -5, 0, -13);
      pen.quadraticCurveTo(1.3, -5, 1.1, -1);
      pen.fill();
      pen.restore();
    }
    this.disc(pen, 2.3, this.colours.paper);
    this.disc(pen, 1.6, colour);
  }

  charger(
    pen: Pen,
    level: number,
    ports: number,
    free: number,
    state: 'free' | 'charging' | 'out',
    outdated: boolean,
  ): void {
    const out = state === 'out';
    const colour = outdated || out ? this.colours.muted : this.colours[ROLE_COLOUR.charger];
    this.disc(pen, 9, this.colours.paper);
    pen.lineWidth = 3;
    pen.strokeStyle = this.colours.grid;
    pen.beginPath();
    pen.arc(0, 0, 7.5, 0, 7);
    pen.stroke();
    if (level > 0) {
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(0, 0, 7.5, -Math.PI / 2, -Math.PI / 2 + level * 2 * Math.PI);
      pen.stroke();
    }
    if (out) {
      pen.strokeStyle = this.colours.ink; // barred: it sells no energy and takes no reservation
      pen.lineWidth = 1.8;
      pen.beginPath();
      pen.arc(0, 0, 6.6, 0, 7);
      pen.moveTo(-4.6, 4.6);
      pen.lineTo(4.6, -4.6);
      pen.stroke();
      return;
    }
    pen.fillStyle = state === 'charging' ? this.colours.vehicle : colour;
    pen.beginPath(); // a bolt
    pen.moveTo(1, -4.6);
    pen.lineTo(-2.6, 0.7);
    pen.lineTo(-0.2, 0.7);
    pen.lineTo(-1, 4.6);
    pen.lineTo(2.6, -0.8);
    pen.lineTo(0.2, -0.8);
    pen.closePath();
    pen.fill();
    for (let port = 0; port < (this.size < 0.6 ? 0 : ports); port++) {
      const angle = Math.PI / 2 + (port - (ports - 1) / 2) * 0.42;
      pen.beginPath();
      pen.arc(12 * Math.cos(angle), 12 * Math.sin(angle), 1.5, 0, 7);
      pen.fillStyle = pen.strokeStyle = port < free ? colour : this.colours.vehicle;
      pen.lineWidth = 0.9;
      if (port < free) pen.fill();
      else pen.stroke();
    }
  }

  vehicle(pen: Pen, level: number, status: string, outdated: boolean): void {
    const colour = outdated ? this.colours.muted : this.colours[ROLE_COLOUR.vehicle];
    const parked = status === 'parked';
    const reach = parked ? 4 : 5.2;
    this.disc(pen, reach + 1.2, this.colours.paper);
    pen.fillStyle = colour;
    pen.globalAlpha = 0.28;
    pen.beginPath();
    pen.arc(0, 0, reach, 0, 7);
    pen.fill();
    pen.globalAlpha = 1;
    pen.beginPath(); // filled from below, like a tank
    pen.arc(0, 0, reach, Math.PI / 2 - Math.acos(1 - 2 * level), Math.PI / 2 + Math.acos(1 - 2 * level));
    pen.fill();
    pen.strokeStyle = status === 'stranded' ? this.colours.ink : colour;
    pen.lineWidth = 1.2;
    pen.beginPath();
    pen.arc(0, 0, reach, 0, 7);
    pen.stroke();
    if (status === 'charging') {
      pen.beginPath();
      pen.arc(0, 0, reach + 2.4, 0, 7);
      pen.stroke();
    } else if (status === 'stranded') {
      this.cross(pen);
    }
  }

  /** A pylon: the connection to the grid outside; filled while it sells. */
  gridSupply(pen: Pen, busy: boolean, outdated: boolean): void {
    const colour = outdated ? this.colours.muted : this.colours[ROLE_COLOUR['grid-supply']];
    pen.beginPath();
    for (let corner = 0; corner < 6; corner++) {
      const angle = (corner * Math.PI) / 3;
      pen.lineTo(11 * Math.cos(angle), 11 * Math.sin(angle));
    }
    pen.closePath();
    pen.fillStyle = busy ? colour : this.colours.paper;
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = colour;
    pen.stroke();
    pen.strokeStyle = busy ? this.colours.paper : colour;
    pen.lineWidth = 1.2;
    pen.beginPath();
    pen.moveTo(-3.4, 6.6);
    pen.lineTo(-0.6, -6.8);
    pen.lineTo(0.6, -6.8);
    pen.lineTo(3.4, 6.6);
    for (const [reach, y] of [[3.6, -4], [5.4, -0.8]] as const) {
      pen.moveTo(-reach, y);
      pen.lineTo(reach, y);
    }
    pen.moveTo(-2.6, 2.8);
    pen.lineTo(3.4, 6.6);
    pen.moveTo(2.6, 2.8);
    pen.lineTo(-3.4, 6.6);
    pen.stroke();
  }

  /** A battery cell, filled to its level, with an arrow up while it sells (`way` 1) and down while it buys (-1). */
  storage(pen: Pen, level: number, way: -1 | 0 | 1, outdated: boolean): void {
    const colour = outdated ? this.colours.muted : this.colours[ROLE_COLOUR.storage];
    pen.fillStyle = this.colours.paper;
    pen.beginPath();
    pen.roundRect(-7.4, -11.4, 14.8, 22.8, 2.5);
    pen.fill();
    pen.fillStyle = pen.strokeStyle = colour;
    pen.fillRect(-2.4, -10.6, 4.8, 2.6);
    pen.lineWidth = 1.6;
    pen.beginPath();
    pen.roundRect(-5.6, -8, 11.2, 17.6, 1.8);
    pen.stroke();
    pen.fillRect(-3.7, 7.7 - 13.8 * level, 7.4, 13.8 * level);
    if (!way) return;
    for (const [width, each] of [
      [3, this.colours.paper],
      [0, colour],
    ] as const) {
      pen.fillStyle = pen.strokeStyle = each;
      pen.lineWidth = width;
      pen.beginPath();
      pen.moveTo(11, -4 * way);
      pen.lineTo(14.2, 2.4 * way);
      pen.lineTo(7.8, 2.4 * way);
      pen.closePath();
      if (width) pen.stroke();
      pen.fill();
    }
  }

  consumer(pen: Pen, short: boolean, outdated: boolean): void {
    const colour = outdated ? this.colours.muted : this.colours[ROLE_COLOUR.consumer];
    pen.beginPath(); // a house
    pen.moveTo(0, -8);
    pen.lineTo(8, -1);
    pen.lineTo(5.6, -1);
    pen.lineTo(5.6, 7);
    pen.lineTo(-5.6, 7);
    pen.lineTo(-5.6, -1);
    pen.lineTo(-8, -1);
    pen.closePath();
    pen.lineWidth = 1.5;
    pen.fillStyle = short ? this.colours.paper : colour;
    pen.strokeStyle = short ? colour : this.colours.paper;
    pen.fill();
    pen.stroke();
  }

  cross(pen: Pen): void {
    for (const [width, colour] of [
      [4, this.colours.paper],
      [2, this.colours.ink],
    ] as const) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.moveTo(-5, -5);
      pen.lineTo(5, 5);
      pen.moveTo(5, -5);
      pen.lineTo(-5, 5);
      pen.stroke();
    }
  }

  private disc(pen: Pen, radius: number, colour: string): void {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(0, 0, radius, 0, 7);
    pen.fill();
  }
}
