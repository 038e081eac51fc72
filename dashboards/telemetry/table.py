"""The telemetry table: every measurement with its tags and its fields, each with type, unit and meaning.

The only place that defines them. A test compares the points that are made with this table, `docs/telemetry.md` is
written from it, and dashboards may read nothing that is not in it.

Tags are bounded: names of sites, runs, cells, kinds and devices, and values from closed lists. Numbers that grow
(ticks, serials, calls) are fields. No column has a name that Grafana's macros replace (`bucket`, `windowPeriod`, …).
"""

from typing import Final

from gridfleet.dashboards.telemetry.columns import (
    Aggregation,
    Measurement,
    Time,
    count,
    eur,
    flag,
    number,
    price,
    text,
    wh,
)

_RUN: Final = ("site", "run")
_CELL: Final = (*_RUN, "cell", "algorithm")


_TICK: Final = count("tick", "number of the tick", Aggregation.LAST)

GRID: Final = Measurement(
    "grid",
    "a cell's energy balance of a tick: generated + reactor + imported = sold + exported + curtailed",
    Time.TICK,
    _CELL,
    (
        _TICK,
        wh("demand_wh", "energy demanded"),
        wh("generated_wh", "own generation, without the reactor"),
        wh("reactor_wh", "bought from the reactor"),
        wh("imported_wh", "bought from other cells"),
        wh("exported_wh", "sold to other cells"),
        wh("sold_wh", "bought by the cell's consumers and chargers"),
        wh("curtailed_wh", "generated and not sold"),
        wh(
            "difference_wh",
            "generated less demand: the balance before trade between cells and with the reactor",
        ),
        eur("paid_eur", "paid by the cell's consumers and chargers"),
        wh(
            "charger_stored_wh",
            "energy in the buffers of the cell's chargers when the tick ends",
            Aggregation.LAST,
        ),
        count("messages", "messages of its devices about market, reservations and accounts"),
    ),
)
MARKET: Final = Measurement(
    "market",
    "a cell's market in a tick, by the cell of the buyer",
    Time.TICK,
    _CELL,
    (
        price(
            "lowest_price_eur_per_kwh", "lowest price paid; no value where nothing was sold", Aggregation.MIN
        ),
        price("mean_price_eur_per_kwh", "price paid, mean by energy; no value where nothing was sold"),
        price(
            "highest_price_eur_per_kwh",
            "highest price paid; no value where nothing was sold",
            Aggregation.MAX,
        ),
        count("bids", "bids with packages"),
        count("packages", "packages bid for"),
        wh("bid_wh", "energy bid for"),
        count("requests", "requests to the reactor"),
        count("awards", "awards to the cell's buyers"),
        count("trades", "packages or parts of them sold"),
        count("refusals", "awards of which the receipt took less than was awarded"),
        count("unanswered", "awards without a receipt so far"),
        wh("refused_wh", "energy that receipts did not take"),
        count("rounds", "most awards that one buyer got of one producer, one per round", Aggregation.MAX),
    ),
)
MERIT: Final = Measurement(
    "merit",
    "merit order of a cell in a tick: what was bid for and what was sold in each price band; bands without bids are 0",
    Time.TICK,
    (*_RUN, "cell", "band"),
    (
        wh("bid_wh", "energy bid for at a price in the band"),
        wh("sold_wh", "of it, sold by producers of the own or another cell"),
        wh("reactor_wh", "of it, sold by the reactor"),
    ),
)
FLEET: Final = Measurement(
    "fleet",
    "devices of a cell and kind at the end of a tick",
    Time.TICK,
    (*_RUN, "cell", "kind"),
    (
        count("devices", "known by a birth message", Aggregation.LAST),
        count("online", "of them, online", Aggregation.MEAN),
        count("reporting", "of them, with an account of the tick", Aggregation.MEAN),
        count("with_sensors", "of them, with values from real sensors", Aggregation.MEAN),
    ),
)
DEVICE: Final = Measurement(
    "device",
    "a device's account of a tick; each kind of device has only the fields that apply to it",
    Time.TICK,
    (*_RUN, "cell", "kind", "device"),
    (
        _TICK,
        flag("measured", "true: from real sensors; false: simulated"),
        text("status", "its status, as the device reports it"),
        count("power_w", "mean power over the tick; positive into the grid", Aggregation.MEAN, "W"),
        eur("balance_eur", "earned less paid since it started", Aggregation.LAST),
        count("refused", "messages it has refused since it started", Aggregation.LAST),
        number("latitude", "°", "where it is, north", Aggregation.LAST),
        number("longitude", "°", "where it is, east", Aggregation.LAST),
        wh("generated_wh", "turbine, reactor: generated"),
        wh("sold_wh", "turbine, reactor: sold, by its own account"),
        wh("curtailed_wh", "turbine, reactor: generated and not sold"),
        wh("unsettled_wh", "turbine, reactor: awarded, receipt not received yet", Aggregation.LAST),
        eur("earned_eur", "turbine, reactor, charger: earned in the tick"),
        wh("demand_wh", "consumer, charger: energy demanded"),
        wh("bought_wh", "consumer, charger: energy bought"),
        eur("paid_eur", "consumer, charger, vehicle: paid in the tick"),
        wh("stored_wh", "charger, vehicle: energy in the battery at the end of the tick", Aggregation.LAST),
        wh("capacity_wh", "charger, vehicle: of the battery", Aggregation.LAST),
        number("state_of_charge", "0–1", "charger, vehicle: stored / capacity"),
        wh("delivered_wh", "charger: given to vehicles"),
        wh("charge_loss_wh", "charger, vehicle: lost in charging the battery"),
        wh("discharge_loss_wh", "charger: lost in discharging it"),
        count("ports", "charger: ports", Aggregation.LAST),
        count("ports_reserved", "charger: of them, reserved", Aggregation.MEAN),
        text("model", "vehicle: its model"),
        number("consumption_wh_per_km", "Wh/km", "vehicle: by its data sheet"),
        wh("drawn_wh", "vehicle: drawn from chargers"),
        wh("driven_wh", "vehicle: used for driving"),
        number("speed_km_h", "km/h", "vehicle: at the end of the tick"),
        count(
            "deadline_ms",
            "vehicle: until when it needs to be charged, since 1970, simulated",
            Aggregation.LAST,
            "ms",
        ),
        text("charger", "vehicle: the charger at which it has reserved a port; empty for none"),
        number("next_latitude", "°", "vehicle: its next stop", Aggregation.LAST),
        number("next_longitude", "°", "vehicle: its next stop", Aggregation.LAST),
        number("destination_latitude", "°", "vehicle: its destination", Aggregation.LAST),
        text("faults", "turbine, charger: faults of sensors and switches; empty for none"),
        text("contactor", "charger: none, open or closed"),
        text("opened_because", "charger: reason why its contactor opened last"),
        number("destination_longitude", "°", "vehicle: its destination", Aggregation.LAST),
    ),
)
CHARGING: Final = Measurement(
    "charging",
    "the chargers of a cell at the end of a tick, added up from their accounts; no point without an account",
    Time.TICK,
    _CELL,
    (
        count("chargers", "chargers with an account of the tick", Aggregation.LAST),
        wh("stored_wh", "energy in their batteries", Aggregation.LAST),
        wh("capacity_wh", "of their batteries", Aggregation.LAST),
        count("ports", "their ports", Aggregation.LAST),
        count("ports_reserved", "of them, reserved", Aggregation.MEAN),
        wh("bought_wh", "bought in the tick"),
        wh("delivered_wh", "given to vehicles in the tick"),
        eur("earned_eur", "earned from vehicles in the tick"),
        eur("paid_eur", "paid to producers in the tick"),
        count("waiting", "vehicles of the cell on their way to a reserved port", Aggregation.MEAN),
        count("failed", "vehicles of the cell that are stranded", Aggregation.MEAN),
    ),
)
VEHICLES: Final = Measurement(
    "vehicles",
    "vehicles of a cell by status at the end of a tick; 0 for a status without vehicles",
    Time.TICK,
    (*_RUN, "cell", "status"),
    (count("vehicles", "vehicles with that status", Aggregation.MEAN),),
)
OFFER: Final = Measurement(
    "offer",
    "a charging offer that a vehicle has accepted and the charger confirmed; cell is the charger's, device the vehicle",
    Time.INSTANT,
    (*_CELL, "device"),
    (
        price("price_eur_per_kwh", "price agreed"),
        number("distance_km", "km", "great circle from the vehicle's place at its call to the charger"),
        wh("energy_wh", "energy reserved"),
        eur("cost_eur", "energy reserved at the price agreed"),
        number("wait_s", "s", "from the call to the confirmation"),
        text("charger", "the charger that made the offer"),
    ),
)
RESERVATION: Final = Measurement(
    "reservation",
    "a charging reservation that ended, at its release; unserved: at the call; "
    "expired or open: at the confirmation",
    Time.INSTANT,
    (*_CELL, "device", "outcome"),
    (
        wh("energy_wh", "energy drawn; as billed where there was a bill"),
        price("price_eur_per_kwh", "price agreed; no value where there was no offer"),
        eur("cost_eur", "energy drawn at the price agreed"),
        number("distance_km", "km", "great circle from the vehicle's place at its call to the charger"),
        number("way_s", "s", "from the confirmation to the arrival"),
        number("plugged_s", "s", "from the arrival to the release"),
        text("charger", "the charger; empty for none"),
    ),
)
MESSAGES: Final = Measurement(
    "messages",
    "messages received during a tick, by message type, of the devices of a cell",
    Time.TICK,
    (*_RUN, "cell", "message_type"),
    (count("messages", "received between the beginning of the tick and the next"),),
)
DECLINES: Final = Measurement(
    "declines",
    "refusals of chargers to vehicles during a tick",
    Time.TICK,
    (*_RUN, "cell", "reason"),
    (count("declines", "received between the beginning of the tick and the next"),),
)
REJECTS: Final = Measurement(
    "rejects",
    "messages that devices refused, by reason, added up over the devices of a cell and kind",
    Time.TICK,
    (*_RUN, "cell", "kind", "reason"),
    (count("rejects", "since the devices started", Aggregation.LAST),),
)
CLOCK: Final = Measurement(
    "clock",
    "the clock when a phase begins, with the settings in force",
    Time.INSTANT,
    _RUN,
    (
        _TICK,
        text("phase", "bid, trade, residual, surplus, exchange, import or settle"),
        text("mode", "lockstep, scaled or realtime"),
        flag("paused", "whether the clock is paused"),
        number("seconds_per_tick", "s", "real seconds a tick takes; 0 in lock-step"),
        count("ticks_left", "ticks still to run after this one", Aggregation.LAST),
        count("absent", "devices that missed the last deadline", Aggregation.MEAN),
        number(
            "took_s", "s", "real seconds since the phase before began; none for the first, or after a pause"
        ),
        number("late_s", "s", "of them, beyond the planned duration; none in lock-step", Aggregation.MAX),
        text("scenario", "name of the scenario; empty where the recorder does not know it"),
        text("algorithm_in_force", "how vehicles choose a charger"),
        number("consumer_scale", "1", "multiplies demand"),
        number("vehicle_scale", "1", "multiplies driving"),
        number("turbine_scale", "1", "multiplies generation"),
        number("wind_scale", "1", "multiplies wind speed"),
        text("note", "the scenario's note on the current settings"),
    ),
)
EVENT: Final = Measurement(
    "event",
    "an event that explains the curves; dashboards show it as an annotation",
    Time.INSTANT,
    (*_RUN, "what", "device"),
    (text("text", "description of the event"), _TICK),
)
AUDIT: Final = Measurement(
    "audit",
    "the auditor's invariants: checks and breaches up to that tick",
    Time.TICK,
    (*_RUN, "invariant"),
    (
        count("checked", "checks since the run began", Aggregation.LAST),
        count("breaches", "of them, breaches", Aggregation.LAST),
    ),
)
RECORDER: Final = Measurement(
    "recorder",
    "the recorder's own health, every few real seconds",
    Time.WALL,
    ("site",),
    (
        flag("connected", "whether it is connected to the broker"),
        count(
            "connections",
            "connections to the broker since it started; more than 1: it reconnected",
            Aggregation.LAST,
        ),
        count("received", "messages received since it started", Aggregation.LAST),
        count("refused", "of them, refused: foreign or invalid topic or payload", Aggregation.LAST),
        count("redelivered", "of them, dropped because they were stored before", Aggregation.LAST),
        number("silent_s", "s", "since the last message", Aggregation.MAX),
        count("points", "points made since it started", Aggregation.LAST),
        count("backlog", "points in the spool that the server has not accepted yet", Aggregation.MAX),
        count("backlog_bytes", "of the spool on disk", Aggregation.MAX, "byte"),
        number(
            "oldest_s", "s", "how long the oldest point has been in the spool; 0 for none", Aggregation.MAX
        ),
        count("sent", "points accepted by the server since the spool was created", Aggregation.LAST),
        count(
            "rejected", "points rejected by the server and written to the dead-letter file", Aggregation.LAST
        ),
        count("dropped", "points dropped because the spool was full", Aggregation.LAST),
        count("failures", "failed attempts to send since the last success", Aggregation.MAX),
        count("rss_bytes", "resident memory of the recorder process", Aggregation.MAX, "byte"),
    ),
)
LIVE_STATUS: Final = Measurement(
    "live_status",
    "the state of the current run, every few real seconds; alert rules read this",
    Time.WALL,
    _RUN,
    (
        count("simulated_ms", "simulated time of the last tick counted, since 1970", Aggregation.LAST, "ms"),
        count("devices", "devices known by a birth message", Aggregation.LAST),
        count("online", "of them, online", Aggregation.MEAN),
        count("missing", "of them, offline", Aggregation.MAX),
        count("faulty", "devices with a fault in their last account", Aggregation.MAX),
        count("breaches", "breaches of invariants in the run", Aggregation.LAST),
        number(
            "reactor_share", "0–1", "part of the energy bought in the last 16 ticks that the reactor sold"
        ),
    ),
)

SAMPLE: Final = Measurement(
    "sample",
    "readings of a device's sensors at an instant; only of sensors that it has and that work",
    Time.WALL,
    (*_RUN, "cell", "kind", "device"),
    (
        flag("measured", "true: from real sensors; false: simulated"),
        flag(
            "synchronised",
            "whether the device's clock was synchronised; if not, the time is when the message was received",
        ),
        text("faults", "faults of its sensors and switches; empty for none"),
        number("wind_m_per_s", "m/s", "turbine: wind, mean"),
        number("gust_m_per_s", "m/s", "turbine: gust", Aggregation.MAX),
        number("direction_deg", "°", "turbine: where the wind comes from", Aggregation.LAST),
        number("brake_applied", "0–1", "turbine: 1 when the brake holds", Aggregation.MAX),
        number("plugged", "0–1", "charger: 1 when a plug is in", Aggregation.MAX),
        number("contactor_closed", "0–1", "charger: 1 when the contactor is closed", Aggregation.MAX),
        number("current_a", "A", "charger: current, root mean square"),
        number("voltage_v", "V", "charger: voltage"),
        number("meter_w", "W", "charger: power by its own meter"),
        number("meter_wh", "Wh", "charger: energy by its own meter", Aggregation.MAX),
    ),
)
INCIDENT: Final = Measurement(
    "incident",
    "a switch acted, or a sensor failed or recovered",
    Time.WALL,
    (*_RUN, "cell", "kind", "device", "part", "what"),
    (
        text("reason", "why, as the device reports it"),
        flag("fault", "whether it is a fault and not normal operation"),
        flag("measured", "true: seen on real pins; false: simulated"),
        flag(
            "synchronised",
            "whether the device's clock was synchronised; if not, the time is when the message was received",
        ),
    ),
)

MEASUREMENTS: Final = (
    GRID, MARKET, MERIT, FLEET, DEVICE, CHARGING, VEHICLES, OFFER, RESERVATION, MESSAGES, DECLINES, REJECTS, CLOCK,
    EVENT, AUDIT, RECORDER, LIVE_STATUS, SAMPLE, INCIDENT,
)  # fmt: skip
BY_NAME: Final = {measurement.name: measurement for measurement in MEASUREMENTS}
