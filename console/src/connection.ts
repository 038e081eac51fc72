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
  | { kind: 'connect'; url: string; filters: string[]; clientId: string; login: Login | null; probe: string | null }
  | { kind: 'join' }
  | { kind: 'leave' }
  | { kind: 'publish'; topic: string; payload: string };
export type FromWorker =
  | { kind: 'online' }
  | { kind: 'offline'; reason: string; denied: boolean }
  | { kind: 'joined'; username: string }
  | { kind: 'no login' }
  | { kind: 'access'; mayControl: boolean }
  | { kind: 'publish failed'; reason: string }
  | { kind: 'messages'; messages: Publication[] };
type Request = Extract<ToWorker, { kind: 'connect' }>;
/** A page: of one worker, or of one that several tabs share. */
type Page = { postMessage(message: FromWorker): void; onmessage: ((event: MessageEvent<ToWorker>) => void) | null };

const BATCH_MS = 30;
const NOT_AUTHORISED = new Set([4, 5, 134, 135]);
const RECONNECT_MS = 1_000;
/** Two clients with one client id disconnect each other repeatedly: wait longer between attempts. */
const TAKEOVER_RECONNECT_MS = 15_000;
const TAKEOVER = 'the broker closes the connection repeatedly: is somebody else logged in under the same name?';
const TAKEOVER_LOSSES = 3;
const TAKEOVER_WITHIN_MS = 30_000;

const scope = self as unknown as Page & { onconnect?: ((event: MessageEvent) => void) | null };
const pages = new Set<Page>();
const decoder = new TextDecoder('utf-8', { fatal: true });
let client: MqttClient | null = null;
/** What the connection was opened with, what it is now, and whether its user may control the run. */
let session: Request | null = null;
let status: Extract<FromWorker, { kind: 'online' | 'offline' }> | null = null;
let access: Extract<FromWorker, { kind: 'access' }> | null = null;
let batch: Publication[] = [];
let scheduled = false;

if ('onconnect' in scope) scope.onconnect = ({ ports: [port] }) => listen(port as unknown as Page);
else listen(scope);

function listen(page: Page): void {
  pages.add(page);
  page.onmessage = ({ data }) => receive(page, data);
}

/** Tell all pages. */
function tell(message: FromWorker): void {
  if (message.kind === 'online' || message.kind === 'offline') status = message;
  for (const page of pages) page.postMessage(message);
}

function receive(page: Page, message: ToWorker): void {
  switch (message.kind) {
    case 'connect':
      return isSame(message) ? join(page) : connect(message);
    case 'join':
      return join(page);
    case 'leave':
      client?.end(true);
      client = session = access = null;
      return tell({ kind: 'offline', reason: 'logged out', denied: true });
    case 'publish':
      publish(message.topic, message.payload, (error) => {
        if (error) page.postMessage({ kind: 'publish failed', reason: error.message });
      });
  }
}

function publish(topic: string, payload: string, done: (error?: Error | null) => void): void {
  const properties = { userProperties: { schema: SCHEMA_VERSION } };
  client?.publish(topic, payload, { qos: 1, retain: true, properties }, done);
}

/** Whether the connection that another page has opened is the one that is asked for. */
function isSame({ url, login }: Request): boolean {
  return login !== null && client !== null && session?.url === url && session.login?.username === login.username && session.login.password === login.password;
}

/** Let a page take part in the connection that there is: the broker sends all that it retains once more. */
function join(page: Page): void {
  if (!client || !session?.login) return page.postMessage({ kind: 'no login' });
  page.postMessage({ kind: 'joined', username: session.login.username });
  if (status) page.postMessage(status);
  if (access) page.postMessage(access);
  if (client.connected && session.filters.length) client.subscribe(session.filters, { qos: 0 });
}

/** Find out whether the user may publish controls: clear one that does not exist, which changes nothing. */
function probe(topic: string | null): void {
  if (!topic) return;
  publish(topic, '', (error) => {
    access = { kind: 'access', mayControl: !error };
    tell(access);
  });
}

function connect(request: Request): void {
  client?.end(true);
  session = request;
  access = null;
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
    const ready = (): void => {
      tell({ kind: 'online' });
      probe(request.probe);
    };
    if (!request.filters.length) return ready();
    // QoS 0: a lost message is followed by the next tick's, and rumqttd delivers every retained message only this way.
    connection.subscribe(request.filters, { qos: 0 }, (error) => {
      if (error) offline(error.message, false);
      else ready();
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
    if (denied) client = session = null;
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
  tell({ kind: 'messages', messages: batch });
  batch = [];
}

function offline(reason: string, denied: boolean): void {
  tell({ kind: 'offline', reason, denied });
}

/** The schema version that a message states, if any. */
function schemaOf(properties: Record<string, string | string[]> | undefined): string | null {
  const stated = properties?.['schema'];
  return typeof stated === 'string' ? stated : (stated?.join() ?? null);
}
