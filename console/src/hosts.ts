// Hosts: processes that speak for many devices over one connection. What they say comes in batches (broker/protocol/batch.py).

import { Malformed } from './wire';

const TOPIC = /^gridfleet\/([^/]+)\/batch\/([a-z]+)\/[^/]+\/([^/]+)$/;
const VERSION = '1';
const MAX_MESSAGES = 500;

export interface Batch {
  host: string;
  messages: (readonly [topic: string, payload: string])[];
}

/** The filter of all batches of a site. */
export function batches(site: string): string {
  return `gridfleet/${site}/batch/+/+/+`;
}

/** A batch taken apart; null for any other message. */
export function readBatch(site: string, topic: string, payload: string): Batch | null {
  const [, itsSite, word = '', host = ''] = TOPIC.exec(topic) ?? [];
  if (itsSite !== site) return null;
  const [version, ...lines] = payload.split('\n', MAX_MESSAGES + 2);
  if (version !== VERSION || lines.length > MAX_MESSAGES) throw new Malformed('batch');
  const messages = lines.map((line) => {
    const gap = line.indexOf(' ');
    if (gap < 1) throw new Malformed('batch');
    return [`gridfleet/${site}/${word}/${line.slice(0, gap)}`, line.slice(gap + 1)] as const;
  });
  return { host, messages };
}
