// The connection to the broker, in a worker, so that a burst of messages never delays a frame.
// It reconnects by itself, reports that, and forwards messages in batches, without reading them.

import mqtt, { type MqttClient } from 'mqtt';
import type { Publication } from './model/decoder';
import { MAX_PAYLOAD_BYTES, SCHEMA_VERSION } from './model/messages';

export interface Login {
  username: string;
  password: string;
}
export type ToWorker =
  | { kind: 'connect'; url: string; filters: string[]; clientId: string; login: Login | null }
  | { kind: 'publish'; topic: string; payload: string };
export type FromWorker =
  | { kind: 'online' }
  | { kind: 'offline'; reason: string; denied: boolean }
  | { kind: 'publish failed'; reason: string }
  | { kind: 'messages'; messages: Publication[] };

const BATCH_MS = 30;
const NOT_AUTHORISED = new Set([4, 5, 134, 135]);
const RECONNECT_MS = 1_000;
/** Two clients with one client id disconnect each other repeatedly: wait longer between attempts. */
const TAKEOVER_RECONNECT_MS = 15_000;
const TAKEOVER = 'the broker closes the connection repeatedly: is somebody else logged in under the same name?';
const TAKEOVER_LOSSES = 3;
const TAKEOVER_WITHIN_MS = 30_000;

const worker = self as unknown as {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
};
const decoder = new TextDecoder('utf-8', { fatal: true });
let client: MqttClient | null = null;
let batch: Publication[] = [];
let scheduled = false;

worker.onmessage = ({ data }) => {
  if (data.kind === 'connect') connect(data);
  else {
    const properties = { userProperties: { schema: SCHEMA_VERSION } };
    client?.publish(data.topic, data.payload, { qos: 1, retain: true, properties }, (error) => {
      if (error) worker.postMessage({ kind: 'publish failed', reason: error.message });
    });
  }
};

function connect(request: Extract<ToWorker, { kind: 'connect' }>): void {
  client?.end(true);
  const connection = mqtt.connect(request.url, {
    protocolVersion: 5,
    clientId: request.clientId,
    clean: true,
    keepalive: 20,
    connectTimeout: 5_000,
    reconnectPeriod: RECONNECT_MS,
    resubscribe: false,
    queueQoSZero: false,
    timerVariant: 'native',
    ...(request.login ?? {}),
  });
  client = connection;
  let denied = false; // the reason to report, rather than that the broker then disconnects
  let accepted = false;
  let losses: number[] = []; // when an accepted connection was lost
  connection.on('connect', () => {
    accepted = true;
    if (!request.filters.length) return worker.postMessage({ kind: 'online' });
    // QoS 0: a lost message is followed by the next tick's, and rumqttd delivers every retained message only this way.
    connection.subscribe(request.filters, { qos: 0 }, (error) => {
      if (error) offline(error.message, false);
      else worker.postMessage({ kind: 'online' });
    });
  });
  connection.on('close', () => {
    if (denied || connection !== client) return;
    const now = performance.now();
    losses = losses.filter((each) => now - each < TAKEOVER_WITHIN_MS);
    if (accepted) losses.push(now);
    accepted = false;
    const takeover = losses.length >= TAKEOVER_LOSSES;
    connection.options.reconnectPeriod = takeover ? TAKEOVER_RECONNECT_MS : RECONNECT_MS;
    offline(takeover ? TAKEOVER : 'the broker does not answer', false);
  });
  connection.on('error', (error) => {
    if (connection !== client || denied) return;
    denied = 'code' in error && NOT_AUTHORISED.has(Number(error.code));
    if (denied) connection.end(true);
    offline(denied ? 'the broker rejects this name or password' : 'the broker does not answer', denied);
  });
  connection.on('message', (topic, payload, packet) => {
    if (payload.length > MAX_PAYLOAD_BYTES) return;
    try {
      const schema = schemaOf(packet.properties?.userProperties);
      batch.push({ topic, payload: decoder.decode(payload), retained: packet.retain, schema });
    } catch {
      return; // not UTF-8, so not a message of GridFleet
    }
    if (!scheduled) {
      scheduled = true;
      setTimeout(forward, BATCH_MS);
    }
  });
}

function forward(): void {
  scheduled = false;
  worker.postMessage({ kind: 'messages', messages: batch });
  batch = [];
}

function offline(reason: string, denied: boolean): void {
  worker.postMessage({ kind: 'offline', reason, denied });
}

/** The schema version that a message states, if any. */
function schemaOf(properties: Record<string, string | string[]> | undefined): string | null {
  const stated = properties?.['schema'];
  return typeof stated === 'string' ? stated : (stated?.join() ?? null);
}
