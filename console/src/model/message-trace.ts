// The latest messages as they came, to show what devices say to each other.

import type { Decoded } from './decoder';

/** So many messages are kept: a few ticks of a small site, less than one of a large one. */
const KEPT = 20_000;
/** What nobody reads one by one: every device sends them in every tick, and the card shows what they say. */
const LEFT_OUT: ReadonlySet<Decoded['type']> = new Set(['state', 'facts', 'presence', 'fleet', 'tick']);

export type Traced = Decoded & {
  /** The tick in which it came. */
  tick: number;
  /** A number that grows with each message. */
  number: number;
};

export class MessageTrace {
  private readonly ring: Traced[] = [];
  private count = 0;

  add(decoded: Decoded, tick: number): void {
    if (LEFT_OUT.has(decoded.type)) return;
    this.ring[this.count % KEPT] = { ...decoded, tick, number: this.count };
    this.count += 1;
  }

  /** The latest messages that match, newest first, at most so many. */
  latest(most: number, matches: (message: Traced) => boolean): Traced[] {
    const found: Traced[] = [];
    const oldest = Math.max(0, this.count - KEPT);
    for (let number = this.count - 1; number >= oldest && found.length < most; number--) {
      const message = this.ring[number % KEPT]!;
      if (matches(message)) found.push(message);
    }
    return found;
  }

  /** The latest messages from or to a device. */
  of(device: string, most: number): Traced[] {
    return this.latest(most, ({ sender, scope }) => sender === device || scope.at(-1) === device);
  }

  clear(): void {
    this.ring.length = this.count = 0;
  }
}
