// The connection to the broker, in a thread of its own, so that a burst of messages never holds up a picture.
// It reconnects by itself, says so, and hands on what it hears in batches, unread.

import mqtt, { type MqttClient } from 'mqtt';

export interface Login {
  username: string;
  password: string;
}
export type ToWorker =
  | { kind: 'connect'; url: string; filters: string[]; clientId: string; login: Login | null }
  | { kind: 'publish'; topic: string; payload: string };
export type Heard = [topic: string, payload: string, retained: boolean];
export type FromWorker =
  | { kind: 'online' }
  | { kind: 'offline'; reason: string; denied: boolean }
  | { kind: 'refused'; reason: string }
  | { kind: 'heard'; messages: Heard[] };

const BATCH_MS = 30;
const MOST_BYTES = 65_536;
const NOT_AUTHORISED = new Set([4, 5, 134, 135]);
const RECONNECT_MS = 1_000;
/** Two pages under one name push each other out: for ever, and faster than anybody could read, unless they wait. */
const RECONNECT_RIVAL_MS = 15_000;
const RIVAL = 'the connection is ended again and again: has somebody else logged in by the same name?';
const RIVAL_LOSSES = 3;
const RIVAL_WITHIN_MS = 30_000;

const scope = self as unknown as {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
};
const decoder = new TextDecoder('utf-8', { fatal: true });
let client: MqttClient | null = null;
let batch: Heard[] = [];
let planned = false;

scope.onmessage = ({ data }) => {
  if (data.kind === 'connect') connect(data);
  else {
    client?.publish(data.topic, data.payload, { qos: 1, retain: true }, (error) => {
      if (error) scope.postMessage({ kind: 'refused', reason: error.message });
    });
  }
};

function connect(wish: Extract<ToWorker, { kind: 'connect' }>): void {
  client?.end(true);
  const mine = mqtt.connect(wish.url, {
    protocolVersion: 5,
    clientId: wish.clientId,
    clean: true,
    keepalive: 20,
    connectTimeout: 5_000,
    reconnectPeriod: RECONNECT_MS,
    resubscribe: false,
    queueQoSZero: false,
    timerVariant: 'native',
    ...(wish.login ?? {}),
  });
  client = mine;
  let denied = false; // the reason to tell, not that the broker hangs up afterwards
  let accepted = false;
  let losses: number[] = []; // when a connection that had been accepted was ended
  mine.on('connect', () => {
    accepted = true;
    // QoS 0: what is missed is shown a tick later, and rumqttd hands out every retained message only so.
    mine.subscribe(wish.filters, { qos: 0 }, (error) => {
      if (error) offline(error.message, false);
      else scope.postMessage({ kind: 'online' });
    });
  });
  mine.on('close', () => {
    if (denied || mine !== client) return;
    const now = performance.now();
    losses = losses.filter((each) => now - each < RIVAL_WITHIN_MS);
    if (accepted) losses.push(now);
    accepted = false;
    const rival = losses.length >= RIVAL_LOSSES;
    mine.options.reconnectPeriod = rival ? RECONNECT_RIVAL_MS : RECONNECT_MS;
    offline(rival ? RIVAL : 'the broker does not answer', false);
  });
  mine.on('error', (error) => {
    if (mine !== client || denied) return;
    denied = 'code' in error && NOT_AUTHORISED.has(Number(error.code));
    if (denied) mine.end(true);
    offline(denied ? 'the broker wants another name or password' : 'the broker does not answer', denied);
  });
  mine.on('message', (topic, payload, packet) => {
    if (payload.length > MOST_BYTES) return;
    try {
      batch.push([topic, decoder.decode(payload), packet.retain]);
    } catch {
      return; // not UTF-8, so none of ours
    }
    if (!planned) {
      planned = true;
      setTimeout(hand, BATCH_MS);
    }
  });
}

function hand(): void {
  planned = false;
  scope.postMessage({ kind: 'heard', messages: batch });
  batch = [];
}

function offline(reason: string, denied: boolean): void {
  scope.postMessage({ kind: 'offline', reason, denied });
}
