// Types, validators and topics of the messages that the page reads.
// Generated from broker/protocol/messages by `python -m gridfleet.dashboards.console.page_messages`; do not edit.

import * as v from 'valibot';

export const ROOT = 'gridfleet';
export const BATCH = 'batch';
export const CLOCK_ID = 'clock';
export const SCHEMA_VERSION = '2';
export const MAX_PAYLOAD_BYTES = 20_480;
export const BATCH_VERSION = '1';
export const MAX_BATCH_MESSAGES = 500;
export const TICK_MS = 900_000;
export const MAX_TICKS = 1_000_000;
export const OUT_OF_SERVICE = 'out of service';
export const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$/;

const integer = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
const number = (min: number, max: number) => v.pipe(v.number(), v.finite(), v.minValue(min), v.maxValue(max));
/** Text of at most so many Unicode characters. */
const text = (max: number) =>
  v.pipe(v.string(), v.check((value) => value.length <= max || [...value].length <= max));

export const MODES = ['lockstep', 'scaled', 'realtime'] as const;
export type Mode = (typeof MODES)[number];

export const PHASES = ['bid', 'trade', 'residual', 'surplus', 'exchange', 'import', 'settle'] as const;
export type Phase = (typeof PHASES)[number];

export const ROLES = ['producer', 'consumer', 'storage', 'charger', 'vehicle', 'grid-supply', 'clock'] as const;
export type Role = (typeof ROLES)[number];

export const SettingsSchema = v.strictObject({
  consumer_scale: v.optional(number(0, 2), 1.0),
  vehicle_scale: v.optional(number(0, 2), 1.0),
  turbine_scale: v.optional(number(0, 2), 1.0),
  wind_scale: v.optional(number(0, 5), 1.0),
  algorithm: v.optional(v.pipe(v.string(), v.regex(ID)), 'weighted'),
  chargers_out: v.optional(text(64), ''),
  outage_s: v.optional(number(0, 60), 0.0),
  note: v.optional(text(64), ''),
  clearing_rule: v.optional(v.pipe(v.string(), v.regex(ID)), 'pay-as-bid'),
});
export type Settings = v.InferOutput<typeof SettingsSchema>;

export const TickSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  phase: v.picklist(PHASES),
  simulated_ms: integer(0, 253_402_300_799_999),
  ends_ms: integer(0, 253_402_300_799_999),
  mode: v.picklist(MODES),
  seconds_per_tick: number(0, 86_400),
  ticks_left: integer(0, 2_147_483_647),
  paused: v.boolean(),
  settings: SettingsSchema,
  absent: v.optional(v.array(v.pipe(v.string(), v.regex(ID))), []),
  epoch: v.optional(integer(0, 2_147_483_647), 0),
  revision: v.optional(integer(0, 2_147_483_647), 0),
  resumptions: v.optional(integer(0, 2_147_483_647), 0),
});
export type Tick = v.InferOutput<typeof TickSchema>;

export const FactsSchema = v.strictObject({
  title: text(120),
  south: number(-90, 90),
  north: number(-90, 90),
  west: number(-180, 180),
  east: number(-180, 180),
  rows: integer(1, 1_000),
  columns: integer(1, 1_000),
  reactor_price_ueur_per_kwh: integer(0, 1_000_000_000),
  clearing_rules: v.optional(v.pipe(v.array(v.pipe(v.string(), v.regex(ID))), v.maxLength(256)), []),
  offer_rankings: v.optional(v.pipe(v.array(v.pipe(v.string(), v.regex(ID))), v.maxLength(256)), []),
  suspension_ticks: v.optional(integer(0, 2_147_483_647), 0),
});
export type Facts = v.InferOutput<typeof FactsSchema>;

export const ControlSchema = v.strictObject({
  value: v.union([v.boolean(), integer(0, 2_147_483_647), number(-Infinity, Infinity), text(64)]),
  revision: integer(0, 2_147_483_647),
});
export type Control = v.InferOutput<typeof ControlSchema>;

export const FigureSchema = v.strictObject({
  name: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,47}$/)),
  unit: v.optional(text(64), ''),
  description: v.optional(text(200), ''),
});
export type Figure = v.InferOutput<typeof FigureSchema>;

export const PresenceSchema = v.strictObject({
  online: v.boolean(),
  role: v.picklist(ROLES),
  cell: text(64),
  latitude: number(-90, 90),
  longitude: number(-180, 180),
  label: v.optional(text(64), ''),
  via: v.optional(v.nullable(v.pipe(v.string(), v.regex(ID))), null),
  kind: v.optional(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_-]{0,31}$/)), 'device'),
  figures: v.optional(v.pipe(v.array(FigureSchema), v.maxLength(32)), []),
});
export type Presence = v.InferOutput<typeof PresenceSchema>;

export const FleetPresenceSchema = v.strictObject({
  online: v.boolean(),
  devices: integer(0, 2_147_483_647),
  refused: v.record(text(64), integer(0, 2_147_483_647)),
});
export type FleetPresence = v.InferOutput<typeof FleetPresenceSchema>;

export const ChargerStateSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  latitude: number(-90, 90),
  longitude: number(-180, 180),
  measured: v.boolean(),
  status: text(64),
  power_w: integer(-1_000_000_000_000, 1_000_000_000_000),
  balance_neur: integer(-1e21, 1e21),
  refused: v.record(text(64), integer(0, 2_147_483_647)),
  kind: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_-]{0,31}$/)),
  figures: v.pipe(v.record(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,47}$/)), number(-Infinity, Infinity)), v.maxEntries(32)),
  avoids: v.pipe(v.array(v.pipe(v.string(), v.regex(ID))), v.maxLength(16)),
  role: v.literal('charger'),
  demand_wh: integer(0, 1_000_000_000_000),
  bought_wh: integer(0, 1_000_000_000_000),
  paid_neur: integer(-1e21, 1e21),
  stored_wh: integer(0, 1_000_000_000_000),
  capacity_wh: integer(0, 1_000_000_000_000),
  delivered_wh: integer(0, 1_000_000_000_000),
  charge_loss_wh: integer(0, 1_000_000_000_000),
  discharge_loss_wh: integer(0, 1_000_000_000_000),
  earned_neur: integer(-1e21, 1e21),
  ports: integer(0, 2_147_483_647),
  ports_reserved: integer(0, 2_147_483_647),
  faults: v.optional(v.pipe(v.array(text(64)), v.maxLength(32)), []),
  contactor: v.optional(v.picklist(['none', 'open', 'closed']), 'none'),
  opened_because: v.optional(text(64), ''),
});
export type ChargerState = v.InferOutput<typeof ChargerStateSchema>;

export const ClockStateSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  latitude: number(-90, 90),
  longitude: number(-180, 180),
  measured: v.boolean(),
  status: text(64),
  power_w: integer(-1_000_000_000_000, 1_000_000_000_000),
  balance_neur: integer(-1e21, 1e21),
  refused: v.record(text(64), integer(0, 2_147_483_647)),
  kind: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_-]{0,31}$/)),
  figures: v.pipe(v.record(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,47}$/)), number(-Infinity, Infinity)), v.maxEntries(32)),
  avoids: v.pipe(v.array(v.pipe(v.string(), v.regex(ID))), v.maxLength(16)),
  role: v.literal('clock'),
  mode: v.picklist(MODES),
  paused: v.boolean(),
  seconds_per_tick: number(0, Infinity),
  ticks: integer(0, 2_147_483_647),
  settings: SettingsSchema,
  revision: integer(0, 2_147_483_647),
});
export type ClockState = v.InferOutput<typeof ClockStateSchema>;

export const ConsumerStateSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  latitude: number(-90, 90),
  longitude: number(-180, 180),
  measured: v.boolean(),
  status: text(64),
  power_w: integer(-1_000_000_000_000, 1_000_000_000_000),
  balance_neur: integer(-1e21, 1e21),
  refused: v.record(text(64), integer(0, 2_147_483_647)),
  kind: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_-]{0,31}$/)),
  figures: v.pipe(v.record(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,47}$/)), number(-Infinity, Infinity)), v.maxEntries(32)),
  avoids: v.pipe(v.array(v.pipe(v.string(), v.regex(ID))), v.maxLength(16)),
  role: v.literal('consumer'),
  demand_wh: integer(0, 1_000_000_000_000),
  bought_wh: integer(0, 1_000_000_000_000),
  paid_neur: integer(-1e21, 1e21),
});
export type ConsumerState = v.InferOutput<typeof ConsumerStateSchema>;

export const ProducerStateSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  latitude: number(-90, 90),
  longitude: number(-180, 180),
  measured: v.boolean(),
  status: text(64),
  power_w: integer(-1_000_000_000_000, 1_000_000_000_000),
  balance_neur: integer(-1e21, 1e21),
  refused: v.record(text(64), integer(0, 2_147_483_647)),
  kind: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_-]{0,31}$/)),
  figures: v.pipe(v.record(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,47}$/)), number(-Infinity, Infinity)), v.maxEntries(32)),
  avoids: v.pipe(v.array(v.pipe(v.string(), v.regex(ID))), v.maxLength(16)),
  role: v.picklist(['producer', 'grid-supply']),
  generated_wh: integer(0, 1_000_000_000_000),
  sold_wh: integer(0, 1_000_000_000_000),
  curtailed_wh: integer(0, 1_000_000_000_000),
  unsettled_wh: integer(0, 1_000_000_000_000),
  earned_neur: integer(-1e21, 1e21),
  faults: v.optional(v.pipe(v.array(text(64)), v.maxLength(32)), []),
});
export type ProducerState = v.InferOutput<typeof ProducerStateSchema>;

export const StorageStateSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  latitude: number(-90, 90),
  longitude: number(-180, 180),
  measured: v.boolean(),
  status: text(64),
  power_w: integer(-1_000_000_000_000, 1_000_000_000_000),
  balance_neur: integer(-1e21, 1e21),
  refused: v.record(text(64), integer(0, 2_147_483_647)),
  kind: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_-]{0,31}$/)),
  figures: v.pipe(v.record(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,47}$/)), number(-Infinity, Infinity)), v.maxEntries(32)),
  avoids: v.pipe(v.array(v.pipe(v.string(), v.regex(ID))), v.maxLength(16)),
  role: v.literal('storage'),
  demand_wh: integer(0, 1_000_000_000_000),
  bought_wh: integer(0, 1_000_000_000_000),
  paid_neur: integer(-1e21, 1e21),
  announced_wh: integer(0, 1_000_000_000_000),
  sold_wh: integer(0, 1_000_000_000_000),
  unsettled_wh: integer(0, 1_000_000_000_000),
  earned_neur: integer(-1e21, 1e21),
  stored_wh: integer(0, 1_000_000_000_000),
  capacity_wh: integer(0, 1_000_000_000_000),
  charge_loss_wh: integer(0, 1_000_000_000_000),
  discharge_loss_wh: integer(0, 1_000_000_000_000),
  faults: v.optional(v.pipe(v.array(text(64)), v.maxLength(32)), []),
});
export type StorageState = v.InferOutput<typeof StorageStateSchema>;

export const VehicleStateSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  latitude: number(-90, 90),
  longitude: number(-180, 180),
  measured: v.boolean(),
  status: text(64),
  power_w: integer(-1_000_000_000_000, 1_000_000_000_000),
  balance_neur: integer(-1e21, 1e21),
  refused: v.record(text(64), integer(0, 2_147_483_647)),
  kind: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_-]{0,31}$/)),
  figures: v.pipe(v.record(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,47}$/)), number(-Infinity, Infinity)), v.maxEntries(32)),
  avoids: v.pipe(v.array(v.pipe(v.string(), v.regex(ID))), v.maxLength(16)),
  role: v.literal('vehicle'),
  model: text(64),
  consumption_wh_per_km: number(2.22507e-308, Infinity),
  stored_wh: integer(0, 1_000_000_000_000),
  capacity_wh: integer(0, 1_000_000_000_000),
  drawn_wh: integer(0, 1_000_000_000_000),
  charge_loss_wh: integer(0, 1_000_000_000_000),
  driven_wh: integer(0, 1_000_000_000_000),
  paid_neur: integer(-1e21, 1e21),
  speed_km_h: number(0, 300),
  deadline_ms: integer(0, 253_402_300_799_999),
  next_stop: v.nullable(v.strictTuple([number(-90, 90), number(-180, 180)])),
  destination: v.nullable(v.strictTuple([number(-90, 90), number(-180, 180)])),
  charger: v.nullable(v.pipe(v.string(), v.regex(ID))),
});
export type VehicleState = v.InferOutput<typeof VehicleStateSchema>;

export const StateSchema = v.variant('role', [ProducerStateSchema, ConsumerStateSchema, StorageStateSchema, ChargerStateSchema, VehicleStateSchema, ClockStateSchema]);
export type State = v.InferOutput<typeof StateSchema>;

export const SupplySchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  energy_wh: integer(0, 1_000_000_000_000),
});
export type Supply = v.InferOutput<typeof SupplySchema>;

export const PackageSchema = v.strictObject({
  index: integer(0, 255),
  energy_wh: integer(0, 1_000_000_000_000),
  price_ueur_per_kwh: integer(0, 1_000_000_000),
});
export type Package = v.InferOutput<typeof PackageSchema>;

export const BidSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  packages: v.pipe(v.array(PackageSchema), v.maxLength(256)),
});
export type Bid = v.InferOutput<typeof BidSchema>;

export const AwardSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  serial: integer(0, 2_147_483_647),
  lots: v.pipe(v.array(PackageSchema), v.maxLength(256)),
});
export type Award = v.InferOutput<typeof AwardSchema>;

export const ReceiptSchema = v.strictObject({
  tick: integer(0, 2_147_483_647),
  serial: integer(0, 2_147_483_647),
  lots: v.pipe(v.array(PackageSchema), v.maxLength(256)),
});
export type Receipt = v.InferOutput<typeof ReceiptSchema>;

export const CallSchema = v.strictObject({
  call: integer(0, 2_147_483_647),
  simulated_ms: integer(0, 253_402_300_799_999),
  energy_wh: integer(1, 1_000_000_000),
  limit_ueur_per_kwh: integer(0, 1_000_000_000),
  latitude: number(-90, 90),
  longitude: number(-180, 180),
  consumption_wh_per_km: number(2.22507e-308, 10_000),
});
export type Call = v.InferOutput<typeof CallSchema>;

export const LeaseSchema = v.strictObject({
  call: integer(0, 2_147_483_647),
  energy_wh: integer(0, 1_000_000_000_000),
  price_ueur_per_kwh: integer(0, 1_000_000_000),
  until_ms: integer(0, 253_402_300_799_999),
  drawn_wh: v.optional(integer(0, 1_000_000_000_000), 0),
  metered: v.optional(v.boolean(), false),
});
export type Lease = v.InferOutput<typeof LeaseSchema>;

export const DeclineSchema = v.strictObject({
  call: integer(0, 2_147_483_647),
  reason: v.picklist(['port', 'energy', 'price', 'unknown', 'offline', 'refused']),
});
export type Decline = v.InferOutput<typeof DeclineSchema>;

export const SuspensionSchema = v.strictObject({
  lie: text(64),
  evidence: text(600),
  since_tick: integer(0, 2_147_483_647),
  until_tick: integer(0, 2_147_483_647),
  epoch: v.optional(integer(0, 2_147_483_647), 0),
});
export type Suspension = v.InferOutput<typeof SuspensionSchema>;

/** Smallest and largest value of a setting, or the length of its text. */
export const SETTING_LIMITS = {
  consumer_scale: [0, 2],
  vehicle_scale: [0, 2],
  turbine_scale: [0, 2],
  wind_scale: [0, 5],
  chargers_out: 64,
  outage_s: [0, 60],
  note: 64,
} as const;

/** Number and name of the step that a phase belongs to, as people see it. */
export const STEPS: Readonly<Record<Phase, readonly [number, string]>> = {
  bid: [1, 'Bid'],
  trade: [2, 'Trade'],
  residual: [2, 'Trade'],
  surplus: [2, 'Trade'],
  exchange: [2, 'Trade'],
  import: [3, 'Import'],
  settle: [4, 'Settle'],
};

/**
 * Message types, as the third level of a topic names them: the scope levels that follow, whether the
 * clock publishes them alone (`only`), with others (`also`) or `never`, the roles of the senders, and to
 * which cells they publish: their `own`, `others` or `any`.
 */
export const MESSAGE_TYPES = {
  tick: { scope: [], clock: 'only', senders: ['clock'], cells: 'any', schema: TickSchema },
  facts: { scope: [], clock: 'only', senders: ['clock'], cells: 'any', schema: FactsSchema },
  control: { scope: ['setting'], clock: 'never', senders: ['operator'], cells: 'any', schema: ControlSchema },
  presence: { scope: ['cell', 'role'], clock: 'also', senders: ['charger', 'clock', 'consumer', 'grid-supply', 'producer', 'storage', 'vehicle'], cells: 'any', schema: PresenceSchema },
  fleet: { scope: [], clock: 'never', senders: ['fleet'], cells: 'any', schema: FleetPresenceSchema },
  state: { scope: ['role'], clock: 'also', senders: ['charger', 'clock', 'consumer', 'grid-supply', 'producer', 'storage', 'vehicle'], cells: 'any', schema: StateSchema },
  supply: { scope: ['cell'], clock: 'never', senders: ['producer', 'storage'], cells: 'own', schema: SupplySchema },
  bid: { scope: ['cell'], clock: 'never', senders: ['charger', 'consumer', 'storage'], cells: 'own', schema: BidSchema },
  award: { scope: ['device'], clock: 'never', senders: ['grid-supply', 'producer', 'storage'], cells: 'any', schema: AwardSchema },
  receipt: { scope: ['device'], clock: 'never', senders: ['charger', 'consumer', 'storage'], cells: 'any', schema: ReceiptSchema },
  call: { scope: ['cell'], clock: 'never', senders: ['vehicle'], cells: 'any', schema: CallSchema },
  lease: { scope: ['device'], clock: 'never', senders: ['charger'], cells: 'any', schema: LeaseSchema },
  decline: { scope: ['device'], clock: 'never', senders: ['charger'], cells: 'any', schema: DeclineSchema },
  suspension: { scope: ['subject'], clock: 'never', senders: ['operator', 'recorder'], cells: 'any', schema: SuspensionSchema },
} as const;
export type MessageType = keyof typeof MESSAGE_TYPES;
