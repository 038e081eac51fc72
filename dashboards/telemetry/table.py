"""The telemetry table: every measurement with its tags and its fields, each with type, unit and meaning.

The only place that names them. What makes the points (`telemetry.points` and its neighbours) is held to
this table by a test, `docs/telemetry.md` is written from it, and dashboards may read nothing that is not in it.

Tags are bounded: names of sites, runs, cells, kinds and devices, and words from closed lists. Numbers that grow
(ticks, serials, calls) are fields. No column bears a name that Grafana's macros rewrite (`bucket`, `windowPeriod`, …).
"""

from enum import Enum
from typing import Final, NamedTuple


class Time(Enum):
    """What the time of a point is; with a clock in real-time mode, simulated time is the time of day."""

    TICK = "simulated time at which the tick begins"
    INSTANT = "simulated time of the event"
    WALL = "real time (UTC)"


class Type(Enum):
    """The type of a field in InfluxDB; a field has one type for ever."""

    FLOAT = "float"
    INTEGER = "integer"
    TEXT = "string"
    FLAG = "boolean"


class Fold(Enum):
    """How the values of a longer time become one, in the buckets for 15 minutes and for days."""

    SUM = "sum"
    MEAN = "mean"
    LEAST = "min"
    MOST = "max"
    LAST = "last"


class Column(NamedTuple):
    """A field; a whole unit such as Wh is exact, a float such as EUR is for reading."""

    name: str
    type: Type
    unit: str
    what: str
    fold: Fold


class Measurement(NamedTuple):
    """A kind of point: one for every set of tags and time; written again it takes the place of the former."""

    name: str
    what: str
    time: Time
    tags: tuple[str, ...]
    fields: tuple[Column, ...]

    def field(self, name: str) -> Column:
        """Return a field by its name; raise KeyError where there is none."""
        for column in self.fields:
            if column.name == name:
                return column
        raise KeyError(name)


TAGS: Final = {
    "site": "the site, as in the topics",
    "run": "one run of the site's clock: the name given, or scenario and beginning",
    "cell": "the cell; `unknown` for who was heard before its birth",
    "kind": "turbine, consumer, charger, vehicle, reactor or clock",
    "device": "the device's id; of an event, whom it is about, else `site`",
    "algorithm": "how vehicles choose a charger at that time",
    "band": "lower bound of a price band of 0.05 EUR/kWh, as text such as 0.35; the last, 1.00, has no upper bound",
    "status": "parked, driving, heading, charging, stranded or other",
    "outcome": "charged, interrupted, cancelled, expired, unserved, open (when the run ended) or other",
    "reason": "why a message was refused: a word of a closed list, or other",
    "message_type": "the message type, as in the topics",
    "what": "of an event: begin, end, settings, storm, storm-end, online, offline or incident; "
    "of an incident: opened, closed, applied, released, failed or recovered",
    "part": "contactor, brake, anemometer, vane, adc, current, voltage or other",
    "invariant": "name of the invariant, as in summary.json",
}

_RUN: Final = ("site", "run")
_CELL: Final = (*_RUN, "cell", "algorithm")


def _wh(name: str, what: str, fold: Fold = Fold.SUM) -> Column:
    return Column(name, Type.INTEGER, "Wh", what, fold)


def _eur(name: str, what: str, fold: Fold = Fold.SUM) -> Column:
    return Column(name, Type.FLOAT, "EUR", what, fold)


def _price(name: str, what: str, fold: Fold = Fold.MEAN) -> Column:
    return Column(name, Type.FLOAT, "EUR/kWh", what, fold)


def _count(name: str, what: str, fold: Fold = Fold.SUM, unit: str = "1") -> Column:
    return Column(name, Type.INTEGER, unit, what, fold)


def _number(name: str, unit: str, what: str, fold: Fold = Fold.MEAN) -> Column:
    return Column(name, Type.FLOAT, unit, what, fold)


def _text(name: str, what: str) -> Column:
    return Column(name, Type.TEXT, "", what, Fold.LAST)


def _flag(name: str, what: str) -> Column:
    return Column(name, Type.FLAG, "", what, Fold.LAST)


_TICK: Final = _count("tick", "number of the tick", Fold.LAST)

GRID: Final = Measurement(
    "grid",
    "a cell's energy balance of a tick: generated + reactor + imported = sold + exported + curtailed",
    Time.TICK,
    _CELL,
    (
        _TICK,
        _wh("demand_wh", "energy wanted"),
        _wh("generated_wh", "own generation, without the reactor"),
        _wh("reactor_wh", "bought from the reactor"),
        _wh("imported_wh", "bought from other cells"),
        _wh("exported_wh", "sold to other cells"),
        _wh("sold_wh", "bought by the cell's consumers and chargers"),
        _wh("curtailed_wh", "generated and sold to nobody"),
        _wh(
            "difference_wh",
            "generated less demand: the power difference before trade between cells and reactor",
        ),
        _eur("paid_eur", "paid by the cell's consumers and chargers"),
        _wh(
            "charger_stored_wh", "energy in the buffers of the cell's chargers when the tick ends", Fold.LAST
        ),
        _count("messages", "what its devices said of market, reservations and accounts"),
    ),
)
MARKET: Final = Measurement(
    "market",
    "a cell's market in a tick, seen from those who buy",
    Time.TICK,
    _CELL,
    (
        _price("lowest_price_eur_per_kwh", "lowest price paid; no value where nothing was sold", Fold.LEAST),
        _price("mean_price_eur_per_kwh", "price paid, mean by energy; no value where nothing was sold"),
        _price("highest_price_eur_per_kwh", "highest price paid; no value where nothing was sold", Fold.MOST),
        _count("bids", "bids that wanted something"),
        _count("packages", "packages bid for"),
        _wh("bid_wh", "energy bid for"),
        _count("requests", "requests to the reactor"),
        _count("awards", "awards to the cell's buyers"),
        _count("trades", "packages or parts of them sold"),
        _count("refusals", "awards of which the receipt took less than was awarded"),
        _count("unanswered", "awards without a receipt so far"),
        _wh("refused_wh", "energy that receipts did not take"),
        _count("rounds", "most awards that one buyer got of one producer, one per round", Fold.MOST),
    ),
)
MERIT: Final = Measurement(
    "merit",
    "merit order of a cell in a tick: what was bid for and what was sold in each price band; bands without bids are 0",
    Time.TICK,
    (*_RUN, "cell", "band"),
    (
        _wh("bid_wh", "energy bid for at a price in the band"),
        _wh("sold_wh", "of it, sold by producers of the own or another cell"),
        _wh("reactor_wh", "of it, sold by the reactor"),
    ),
)
FLEET: Final = Measurement(
    "fleet",
    "devices of a cell and kind at the end of a tick",
    Time.TICK,
    (*_RUN, "cell", "kind"),
    (
        _count("devices", "known by their birth", Fold.LAST),
        _count("online", "of them, online", Fold.MEAN),
        _count("reporting", "of them, with an account of this tick", Fold.MEAN),
        _count("with_sensors", "of them, with figures from real sensors", Fold.MEAN),
    ),
)
DEVICE: Final = Measurement(
    "device",
    "a device's account of a tick; a kind of device has only the fields that mean something for it",
    Time.TICK,
    (*_RUN, "cell", "kind", "device"),
    (
        _TICK,
        _flag("measured", "true: from real sensors; false: simulated"),
        _text("status", "what it is doing, in its own word"),
        _count("power_w", "mean power over the tick; positive into the grid", Fold.MEAN, "W"),
        _eur("balance_eur", "earned less paid since it came to life", Fold.LAST),
        _count("refused", "messages it has refused since it came to life", Fold.LAST),
        _number("latitude", "°", "where it is, north", Fold.LAST),
        _number("longitude", "°", "where it is, east", Fold.LAST),
        _wh("generated_wh", "turbine, reactor: generated"),
        _wh("sold_wh", "turbine, reactor: sold, by its own books"),
        _wh("curtailed_wh", "turbine, reactor: sold to nobody"),
        _wh("unsettled_wh", "turbine, reactor: awarded, receipt awaited", Fold.LAST),
        _eur("earned_eur", "turbine, reactor, charger: earned in the tick"),
        _wh("demand_wh", "consumer, charger: energy wanted"),
        _wh("bought_wh", "consumer, charger: energy bought"),
        _eur("paid_eur", "consumer, charger, vehicle: paid in the tick"),
        _wh("stored_wh", "charger, vehicle: energy in the battery at the end of the tick", Fold.LAST),
        _wh("capacity_wh", "charger, vehicle: of the battery", Fold.LAST),
        _number("state_of_charge", "0–1", "charger, vehicle: stored / capacity"),
        _wh("delivered_wh", "charger: given to vehicles"),
        _wh("charge_loss_wh", "charger, vehicle: lost in charging the battery"),
        _wh("discharge_loss_wh", "charger: lost in discharging it"),
        _count("ports", "charger: ports", Fold.LAST),
        _count("ports_reserved", "charger: of them, reserved", Fold.MEAN),
        _text("model", "vehicle: its model"),
        _number("consumption_wh_per_km", "Wh/km", "vehicle: by its data sheet"),
        _wh("drawn_wh", "vehicle: drawn from chargers"),
        _wh("driven_wh", "vehicle: used for driving"),
        _number("speed_km_h", "km/h", "vehicle: at the end of the tick"),
        _count("deadline_ms", "vehicle: when it wants to be charged, since 1970, simulated", Fold.LAST, "ms"),
        _text("charger", "vehicle: whose port it has reserved; empty for none"),
        _number("next_latitude", "°", "vehicle: its next stop", Fold.LAST),
        _number("next_longitude", "°", "vehicle: its next stop", Fold.LAST),
        _number("destination_latitude", "°", "vehicle: its destination", Fold.LAST),
        _text("faults", "turbine, charger: what is wrong with sensors and switches; empty for nothing"),
        _text("contactor", "charger: none, open or closed"),
        _text("opened_because", "charger: why its contactor opened last"),
        _number("destination_longitude", "°", "vehicle: its destination", Fold.LAST),
    ),
)
CHARGING: Final = Measurement(
    "charging",
    "the chargers of a cell at the end of a tick, added up from their accounts; none where no charger gave one",
    Time.TICK,
    _CELL,
    (
        _count("chargers", "chargers with an account of the tick", Fold.LAST),
        _wh("stored_wh", "energy in their batteries", Fold.LAST),
        _wh("capacity_wh", "of their batteries", Fold.LAST),
        _count("ports", "their ports", Fold.LAST),
        _count("ports_reserved", "of them, reserved", Fold.MEAN),
        _wh("bought_wh", "bought in the tick"),
        _wh("delivered_wh", "given to vehicles in the tick"),
        _eur("earned_eur", "earned from vehicles in the tick"),
        _eur("paid_eur", "paid to producers in the tick"),
        _count("waiting", "vehicles of the cell on their way to a reserved port", Fold.MEAN),
        _count("failed", "vehicles of the cell that are stranded", Fold.MEAN),
    ),
)
VEHICLES: Final = Measurement(
    "vehicles",
    "how many vehicles of a cell are in which state at the end of a tick; states that none is in are 0",
    Time.TICK,
    (*_RUN, "cell", "status"),
    (_count("vehicles", "vehicles in that state", Fold.MEAN),),
)
OFFER: Final = Measurement(
    "offer",
    "a charging offer that a vehicle has accepted and the charger confirmed; cell is the charger's, device the vehicle",
    Time.INSTANT,
    (*_CELL, "device"),
    (
        _price("price_eur_per_kwh", "price agreed"),
        _number("distance_km", "km", "great circle from where the vehicle called to the charger"),
        _wh("energy_wh", "energy reserved"),
        _eur("cost_eur", "energy reserved at the price agreed"),
        _number("wait_s", "s", "from the call to the confirmation"),
        _text("charger", "whose offer"),
    ),
)
RESERVATION: Final = Measurement(
    "reservation",
    "a call for a charger that has come to its end, at its release; unserved: at the call; "
    "expired or open: at the confirmation",
    Time.INSTANT,
    (*_CELL, "device", "outcome"),
    (
        _wh("energy_wh", "energy drawn, as billed where there was a bill"),
        _price("price_eur_per_kwh", "price agreed; no value where there was no offer"),
        _eur("cost_eur", "energy drawn at the price agreed"),
        _number("distance_km", "km", "great circle from where the vehicle called to the charger"),
        _number("way_s", "s", "from the confirmation to the arrival"),
        _number("plugged_s", "s", "from the arrival to the release"),
        _text("charger", "whose port; empty for none"),
    ),
)
MESSAGES: Final = Measurement(
    "messages",
    "messages received during a tick, by message type, of the devices of a cell",
    Time.TICK,
    (*_RUN, "cell", "message_type"),
    (_count("messages", "received between the beginning of the tick and the next"),),
)
DECLINES: Final = Measurement(
    "declines",
    "refusals that chargers gave to vehicles during a tick",
    Time.TICK,
    (*_RUN, "cell", "reason"),
    (_count("declines", "received between the beginning of the tick and the next"),),
)
REJECTS: Final = Measurement(
    "rejects",
    "messages that devices refused to act upon, by reason, added up over the devices of a cell and kind",
    Time.TICK,
    (*_RUN, "cell", "kind", "reason"),
    (_count("rejects", "since the devices came to life", Fold.LAST),),
)
CLOCK: Final = Measurement(
    "clock",
    "the clock when a phase begins, with the settings in force",
    Time.INSTANT,
    _RUN,
    (
        _TICK,
        _text("phase", "bid, trade, residual, surplus, exchange, import or settle"),
        _text("mode", "lockstep, scaled or realtime"),
        _flag("paused", "whether time stands still"),
        _number("seconds_per_tick", "s", "real seconds a tick takes; 0 in lock-step"),
        _count("ticks_left", "ticks still to run after this one", Fold.LAST),
        _count("absent", "devices that let the last deadline pass", Fold.MEAN),
        _number(
            "took_s", "s", "real seconds since the phase before began; none for the first, or after a pause"
        ),
        _number("late_s", "s", "of them, more than the pace allows; none in lock-step", Fold.MOST),
        _text("scenario", "name of the scenario; empty where the recorder was not told"),
        _text("algorithm_in_force", "how vehicles choose a charger"),
        _number("consumer_scale", "1", "multiplies demand"),
        _number("vehicle_scale", "1", "multiplies driving"),
        _number("turbine_scale", "1", "multiplies generation"),
        _number("wind_scale", "1", "multiplies wind speed"),
        _text("note", "what the scenario calls the state of things"),
    ),
)
EVENT: Final = Measurement(
    "event",
    "something that explains the curves; dashboards draw these as annotations",
    Time.INSTANT,
    (*_RUN, "what", "device"),
    (_text("text", "the event in words"), _TICK),
)
AUDIT: Final = Measurement(
    "audit",
    "what must always hold: how often it was checked and did not hold, up to that tick",
    Time.TICK,
    (*_RUN, "invariant"),
    (
        _count("checked", "checks since the run began", Fold.LAST),
        _count("breaches", "of them, breaches", Fold.LAST),
    ),
)
RECORDER: Final = Measurement(
    "recorder",
    "the recorder's own health, every few real seconds",
    Time.WALL,
    ("site",),
    (
        _flag("connected", "whether it is connected to the broker"),
        _count(
            "connections", "connections to the broker since it began; more than 1: it came back", Fold.LAST
        ),
        _count("received", "messages received since it began", Fold.LAST),
        _count("refused", "of them, refused: no topic or payload of ours", Fold.LAST),
        _count("redelivered", "of them, dropped because they had been kept before", Fold.LAST),
        _number("silent_s", "s", "since the last message", Fold.MOST),
        _count("points", "points made since it began", Fold.LAST),
        _count("backlog", "points in the spool, not yet taken by the server", Fold.MOST),
        _count("backlog_bytes", "of the spool on disk", Fold.MOST, "byte"),
        _number("oldest_s", "s", "how long the oldest point has been in the spool; 0 for none", Fold.MOST),
        _count("sent", "points taken by the server since the spool was made", Fold.LAST),
        _count("rejected", "points refused by the server and put into the dead-letter file", Fold.LAST),
        _count("dropped", "points dropped because the spool was full", Fold.LAST),
        _count("failures", "failed attempts to send since the last success", Fold.MOST),
        _count("rss_bytes", "resident memory of the recorder", Fold.MOST, "byte"),
    ),
)
LIVE_STATUS: Final = Measurement(
    "live_status",
    "the state of the current run, every few real seconds; alert rules read this",
    Time.WALL,
    _RUN,
    (
        _count("simulated_ms", "simulated time of the last tick counted, since 1970", Fold.LAST, "ms"),
        _count("devices", "devices known by their birth", Fold.LAST),
        _count("online", "of them, online", Fold.MEAN),
        _count("missing", "of them, not online", Fold.MOST),
        _count("faulty", "devices with a fault in their last account", Fold.MOST),
        _count("breaches", "breaches of invariants in the run", Fold.LAST),
        _number(
            "reactor_share", "0–1", "part of the energy bought in the last 16 ticks that the reactor sold"
        ),
    ),
)

SAMPLE: Final = Measurement(
    "sample",
    "what the sensors of a device said at an instant; only what it has and what is sound",
    Time.WALL,
    (*_RUN, "cell", "kind", "device"),
    (
        _flag("measured", "true: from real sensors; false: simulated"),
        _flag("synchronised", "whether the device's clock was; if not, the time is when it was heard"),
        _text("faults", "what is wrong with its sensors and switches; empty for nothing"),
        _number("wind_m_per_s", "m/s", "turbine: wind, mean"),
        _number("gust_m_per_s", "m/s", "turbine: gust", Fold.MOST),
        _number("direction_deg", "°", "turbine: where the wind comes from", Fold.LAST),
        _number("brake_applied", "0–1", "turbine: 1 when the brake holds", Fold.MOST),
        _number("plugged", "0–1", "charger: 1 when a plug is in", Fold.MOST),
        _number("contactor_closed", "0–1", "charger: 1 when the contactor is closed", Fold.MOST),
        _number("current_a", "A", "charger: current, root mean square"),
        _number("voltage_v", "V", "charger: voltage"),
        _number("meter_w", "W", "charger: power by its own meter"),
        _number("meter_wh", "Wh", "charger: energy by its own meter", Fold.MOST),
    ),
)
INCIDENT: Final = Measurement(
    "incident",
    "a switch has acted, or a sensor has failed or recovered",
    Time.WALL,
    (*_RUN, "cell", "kind", "device", "part", "what"),
    (
        _text("reason", "why, in the device's words"),
        _flag("fault", "whether that is a fault, and not the course of things"),
        _flag("measured", "true: seen on real pins; false: simulated"),
        _flag("synchronised", "whether the device's clock was; if not, the time is when it was heard"),
    ),
)

MEASUREMENTS: Final = (
    GRID, MARKET, MERIT, FLEET, DEVICE, CHARGING, VEHICLES, OFFER, RESERVATION, MESSAGES, DECLINES, REJECTS, CLOCK,
    EVENT, AUDIT, RECORDER, LIVE_STATUS, SAMPLE, INCIDENT,
)  # fmt: skip
BY_NAME: Final = {measurement.name: measurement for measurement in MEASUREMENTS}

BANDS: Final = tuple(f"{band / 20:.2f}" for band in range(21))
STATUSES: Final = ("parked", "driving", "heading", "charging", "stranded")
OUTCOMES: Final = ("charged", "interrupted", "cancelled", "expired", "unserved", "open")
REASONS: Final = frozenset({
    "clock", "control", "denied", "duplicate", "early", "energy", "flood", "greedy", "invalid", "late", "malformed",
    "offline", "oversized", "port", "presence", "price", "receipt", "refused", "stale", "topic", "unexpected",
    "unknown", "version", "weather",
})  # fmt: skip
EVENTS: Final = ("begin", "end", "settings", "storm", "storm-end", "online", "offline", "incident")
PARTS: Final = ("contactor", "brake", "anemometer", "vane", "adc", "current", "voltage")
OTHER: Final = "other"


def band_of(price_ueur_per_kwh: int) -> str:
    """Return the price band of a price in µEUR/kWh."""
    return BANDS[min(price_ueur_per_kwh // 50_000, len(BANDS) - 1)]
