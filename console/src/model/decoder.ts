// Decode publications: topic, schema version and payload. Every field is checked, as the devices themselves check it.

import * as v from 'valibot';
import {
  BATCH,
  BATCH_VERSION,
  CLOCK_ID,
  ID,
  MAX_BATCH_MESSAGES,
  MESSAGE_TYPES,
  ROOT,
  SCHEMA_VERSION,
  type MessageType,
  type Role,
} from './messages';

/** A publication as it comes from the broker. */
export interface Publication {
  topic: string;
  /** As text, or as the value that the page's server has read from it. */
  payload: string | object;
  retained: boolean;
  /** The schema version that it states; null where it states none. */
  schema: string | null;
}

/** A message with its type, the scope levels of its topic and its sender. */
export type Decoded = {
  [T in MessageType]: {
    type: T;
    scope: readonly string[];
    sender: string;
    /** The run that the message is tied to; null for what belongs to no run, such as a birth. */
    epoch: number | null;
    message: v.InferOutput<(typeof MESSAGE_TYPES)[T]['schema']>;
  };
}[MessageType];

export interface Batch {
  /** The fleet process that published it. */
  fleet: string;
  messages: Publication[];
}

/**
 * Why a publication is ignored: its payload is invalid, of a schema version that this page does not know, or not for its
 * sender to publish.
 */
export type RejectReason = 'malformed' | 'schema' | 'sender';

export class DecodeError extends Error {
  constructor(
    readonly reason: RejectReason,
    message: string,
  ) {
    super(message);
  }
}

/** The filters of all topics that the page reads. */
export function topicFilters(site: string): string[] {
  const filters = Object.entries(MESSAGE_TYPES).map(
    ([type, { scope }]) => `${ROOT}/${site}/${type}/${'+/'.repeat(scope.length)}+`,
  );
  return [...filters, `${ROOT}/${site}/${BATCH}/+/+/+`];
}

export function controlTopic(site: string, setting: string, operator: string): string {
  return `${ROOT}/${site}/control/${setting}/${operator}`;
}

/** The message in a publication; null for topics of others and for retained messages that were cleared. */
export function decode(site: string, { topic, payload, schema }: Publication): Decoded | null {
  const [root, itsSite, type = '', ...rest] = topic.split('/');
  if (root !== ROOT || itsSite !== site || !isMessageType(type) || payload === '') return null;
  const row = MESSAGE_TYPES[type];
  if (rest.length !== row.scope.length + 1 || !rest.every((level) => ID.test(level))) return null;
  checkSchemaVersion(schema);
  let value: unknown = payload;
  if (typeof payload === 'string') {
    try {
      value = JSON.parse(payload);
    } catch {
      throw new DecodeError('malformed', 'not JSON');
    }
  }
  const stated = takeEpoch(row.schema, value);
  const result = v.safeParse(row.schema as v.GenericSchema, value, { abortEarly: true });
  if (!result.success) throw new DecodeError('malformed', v.summarize(result.issues));
  const sender = rest.pop()!;
  const decoded = { type, scope: rest, sender, epoch: stated, message: result.output } as Decoded;
  if ('epoch' in decoded.message) decoded.epoch = decoded.message.epoch;
  checkSender(decoded);
  return decoded;
}

/** Remove the epoch from a payload whose message has no such field of its own, and return it (broker/protocol/codec.py). */
function takeEpoch(schema: object, value: unknown): number | null {
  if (typeof value !== 'object' || value === null || !('epoch' in value)) return null;
  if ('entries' in schema && Object.hasOwn(schema.entries as object, 'epoch')) return null;
  const { epoch } = value;
  if (typeof epoch !== 'number' || !Number.isInteger(epoch) || epoch < 0) return null; // the schema refuses it
  delete value.epoch;
  return epoch;
}

/** Refuse what a topic says its sender may not publish: only the clock speaks as the clock, and a device in its own role. */
function checkSender({ type, scope, sender, message }: Decoded): void {
  const { clock, scope: levels } = MESSAGE_TYPES[type];
  const isClock = sender === CLOCK_ID;
  if (isClock ? clock === 'never' : clock === 'only') throw new DecodeError('sender', `${type} from ${sender}`);
  if (levels.at(-1) !== 'role' || !('role' in message)) return;
  if (scope.at(-1) !== message.role || isClock !== (message.role === 'clock')) {
    throw new DecodeError('sender', `${type} as ${message.role} from ${sender}`);
  }
}

/** Refuse what a device may not publish by its own birth message (broker/protocol/senders.py); undefined is an unknown one. */
export function checkDevice({ type, scope, sender }: Decoded, device: { role: Role; cell: string } | undefined): void {
  if (!device || type === 'presence') return; // a birth says what its sender is
  const { senders, cells, scope: levels } = MESSAGE_TYPES[type];
  const { role, cell } = device;
  const asItself = levels.at(-1) !== 'role' || scope.at(-1) === role;
  const inRange = cells === 'any' || (scope[0] === cell) === (cells === 'own');
  if (!(senders as readonly string[]).includes(role) || !asItself || !inRange) {
    throw new DecodeError('sender', `${type} to ${scope.join('/')} from ${sender}, a ${role} of ${cell}`);
  }
}

/** The messages of a fleet process's batch (broker/protocol/batch.py); null for any other publication. */
export function unpackBatch(site: string, { topic, payload, schema }: Publication): Batch | null {
  const levels = topic.split('/');
  const [root, itsSite, batch, type = '', , fleet = ''] = levels;
  if (root !== ROOT || itsSite !== site || batch !== BATCH || levels.length !== 6 || typeof payload !== 'string') return null;
  checkSchemaVersion(schema);
  const [version, ...lines] = payload.split('\n', MAX_BATCH_MESSAGES + 2);
  if (version !== BATCH_VERSION || lines.length > MAX_BATCH_MESSAGES) throw new DecodeError('malformed', 'not a batch');
  const messages = lines.map((line): Publication => {
    const space = line.indexOf(' ');
    if (space < 1) throw new DecodeError('malformed', 'a line of a batch without a topic');
    return {
      topic: `${ROOT}/${site}/${type}/${line.slice(0, space)}`,
      payload: line.slice(space + 1),
      retained: false,
      schema,
    };
  });
  return { fleet, messages };
}

function isMessageType(text: string): text is MessageType {
  return Object.hasOwn(MESSAGE_TYPES, text);
}

function checkSchemaVersion(stated: string | null): void {
  if (stated !== null && stated !== SCHEMA_VERSION) throw new DecodeError('schema', `schema version ${stated}`);
}
