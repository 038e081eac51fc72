"""Measurements of devices: their accounts, chargers, vehicles, reservations, sensor readings and incidents."""

from typing import Final

from gridfleet.dashboards.telemetry.table.fields import (
    CELL_TAGS,
    RUN_TAGS,
    TICK,
    Aggregation,
    Measurement,
    PointTime,
    count,
    eur,
    flag,
    number,
    price,
    text,
    wh,
)

FLEET: Final = Measurement(
    "fleet",
    "devices of a cell, by role and kind, at the end of a tick",
    PointTime.TICK,
    (*RUN_TAGS, "cell", "role", "kind"),
    (
        count("devices", "known by a birth message", Aggregation.LAST),
        count("online", "of them, online", Aggregation.MEAN),
        count("reporting", "of them, with an account of the tick", Aggregation.MEAN),
        count("with_sensors", "of them, with values from real sensors", Aggregation.MEAN),
    ),
)
DEVICE: Final = Measurement(
    "device",
    "a device's account of a tick; devices of a role have only the fields that apply to it",
    PointTime.TICK,
    (*RUN_TAGS, "cell", "role", "kind", "device"),
    (
        TICK,
        flag("measured", "true: from real sensors; false: simulated"),
        text("status", "its status, as the device reports it"),
        count("power_w", "mean power over the tick; positive into the grid", Aggregation.MEAN, "W"),
        eur("balance_eur", "earned less paid since it started", Aggregation.LAST),
        count("refused", "messages it has refused since it started", Aggregation.LAST),
        number("latitude", "°", "where it is, north", Aggregation.LAST),
        number("longitude", "°", "where it is, east", Aggregation.LAST),
        wh("generated_wh", "producer, grid supply: generated"),
        wh("sold_wh", "producer, storage, grid supply: sold, by its own account"),
        wh("curtailed_wh", "producer, grid supply: generated and not sold"),
        wh(
            "unsettled_wh",
            "producer, storage, grid supply: awarded, receipt not received yet",
            Aggregation.LAST,
        ),
        eur("earned_eur", "producer, storage, grid supply, charger: earned in the tick"),
        wh("demand_wh", "consumer, storage, charger: energy demanded"),
        wh("bought_wh", "consumer, storage, charger: energy bought"),
        eur("paid_eur", "consumer, storage, charger, vehicle: paid in the tick"),
        wh(
            "stored_wh",
            "storage, charger, vehicle: energy in the battery at the end of the tick",
            Aggregation.LAST,
        ),
        wh("capacity_wh", "storage, charger, vehicle: of the battery", Aggregation.LAST),
        number("state_of_charge", "0–1", "storage, charger, vehicle: stored / capacity"),
        wh("announced_wh", "storage: announced as its supply"),
        wh("delivered_wh", "charger: given to vehicles"),
        wh("charge_loss_wh", "storage, charger, vehicle: lost in charging the battery"),
        wh("discharge_loss_wh", "storage, charger: lost in discharging it"),
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
        text("faults", "producer, storage, charger: faults of sensors and switches; empty for none"),
        text("contactor", "charger: none, open or closed"),
        text("opened_because", "charger: reason why its contactor opened last"),
        number("destination_longitude", "°", "vehicle: its destination", Aggregation.LAST),
    ),
)
FIGURE: Final = Measurement(
    "figure",
    "a figure that a kind of device reports of its own, in a tick; its birth message says what it means",
    PointTime.TICK,
    (*RUN_TAGS, "cell", "kind", "device", "figure", "unit"),
    (number("value", "of the tag unit", "the figure at the end of the tick"),),
)
CHARGING: Final = Measurement(
    "charging",
    "the chargers of a cell at the end of a tick, added up from their accounts; no point without an account",
    PointTime.TICK,
    CELL_TAGS,
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
    PointTime.TICK,
    (*RUN_TAGS, "cell", "status"),
    (count("vehicles", "vehicles with that status", Aggregation.MEAN),),
)
OFFER: Final = Measurement(
    "offer",
    "a charging offer that a vehicle has accepted and the charger confirmed; cell is the charger's, device the vehicle",
    PointTime.INSTANT,
    (*CELL_TAGS, "device"),
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
    PointTime.INSTANT,
    (*CELL_TAGS, "device", "outcome"),
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
SAMPLE: Final = Measurement(
    "sample",
    "readings of a device's sensors at an instant; only of sensors that it has and that work",
    PointTime.WALL,
    (*RUN_TAGS, "cell", "role", "kind", "device"),
    (
        flag("measured", "true: from real sensors; false: simulated"),
        flag(
            "synchronised",
            "whether the device's clock was synchronised; if not, the time is when the message was received",
        ),
        text("faults", "faults of its sensors and switches; empty for none"),
        number("wind_m_per_s", "m/s", "wind, mean"),
        number("gust_m_per_s", "m/s", "wind, gust", Aggregation.MAX),
        number("direction_deg", "°", "where the wind comes from", Aggregation.LAST),
        number("brake_applied", "0–1", "1 when the brake holds", Aggregation.MAX),
        number("plugged", "0–1", "1 when a plug is in", Aggregation.MAX),
        number("contactor_closed", "0–1", "1 when the contactor is closed", Aggregation.MAX),
        number("current_a", "A", "current, root mean square"),
        number("voltage_v", "V", "voltage"),
        number("meter_w", "W", "power by its own meter"),
        number("meter_wh", "Wh", "energy by its own meter", Aggregation.MAX),
    ),
)
INCIDENT: Final = Measurement(
    "incident",
    "a switch acted, or a sensor failed or recovered",
    PointTime.WALL,
    (*RUN_TAGS, "cell", "role", "kind", "device", "part", "what"),
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
