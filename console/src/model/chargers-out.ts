// Which chargers a value of the setting `chargers_out` names, as devices/charging/out_of_service.py reads it.

import { blake2b } from '@noble/hashes/blake2.js';
import { ID } from './messages';
import type { Site } from './site';

const SHARE = /^(100|\d{1,2})%$/;
const SEED = '0/out of service/';
const MASK = (1n << 64n) - 1n;

export interface ChargersOut {
  /** Ids of the chargers named, in order. */
  matches: readonly string[];
  /** How many chargers the site has. */
  chargers: number;
  /** Parts that match no charger, or are no id, cell, share or `all`. */
  unmatched: readonly string[];
}

/** Find the chargers that a list of ids, cells and shares, separated by commas or blanks, names on a site. */
export function chargersOut(site: Site, value: string): ChargersOut {
  const chargers = [...site.devices.all.values()].filter((each) => each.role === 'charger');
  const matches = new Set<string>();
  const unmatched: string[] = [];
  for (const part of value.split(/[,\s]+/).filter(Boolean)) {
    const share = part === 'all' ? 1 : SHARE.test(part) ? parseInt(part, 10) / 100 : NaN;
    const found = chargers.filter(({ id, cell }) => (Number.isNaN(share) ? id === part || cell === part : drawn(id) < share));
    if (found.length || share >= 0) for (const { id } of found) matches.add(id);
    else unmatched.push(part);
    if (Number.isNaN(share) && !ID.test(part) && !unmatched.includes(part)) unmatched.push(part);
  }
  return { matches: [...matches].sort(), chargers: chargers.length, unmatched };
}

/** The first draw of a charger's random stream (devices/random_streams.py), from 0 to 1: SplitMix64, seeded by BLAKE2b. */
function drawn(id: string): number {
  const digest = blake2b(new TextEncoder().encode(SEED + id), { dkLen: 8 });
  const seed = digest.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const state = (seed + 0x9e3779b97f4a7c15n) & MASK;
  let mixed = ((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return Number((mixed ^ (mixed >> 31n)) >> 11n) * 2 ** -53;
}
