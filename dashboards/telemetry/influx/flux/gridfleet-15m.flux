// 15m windows of gridfleet, into gridfleet_15m. Written from dashboards/telemetry/table.
import "date"

option task = {name: "gridfleet-15m", every: 15m, offset: 5m}

begin = date.truncate(t: -6h, unit: 15m)
points = from(bucket: "gridfleet") |> range(start: begin)

sums = [
    "announced_wh",
    "awards",
    "bid_wh",
    "bids",
    "bought_wh",
    "charge_loss_wh",
    "cost_eur",
    "curtailed_wh",
    "declines",
    "delivered_wh",
    "demand_wh",
    "difference_wh",
    "discharge_loss_wh",
    "drawn_wh",
    "driven_wh",
    "earned_eur",
    "energy_wh",
    "exported_wh",
    "generated_wh",
    "imported_wh",
    "messages",
    "packages",
    "paid_eur",
    "reactor_wh",
    "refusals",
    "refused_wh",
    "requests",
    "sold_wh",
    "trades",
    "unanswered",
]

points
    |> filter(fn: (r) => contains(value: r._field, set: sums))
    |> aggregateWindow(
        every: 15m, fn: sum, createEmpty: false, timeSrc: "_start",
    )
    |> to(bucket: "gridfleet_15m", org: "gridfleet")

means = [
    "absent",
    "consumer_scale",
    "consumption_wh_per_km",
    "current_a",
    "distance_km",
    "failed",
    "mean_price_eur_per_kwh",
    "meter_w",
    "online",
    "plugged_s",
    "ports_reserved",
    "power_w",
    "price_eur_per_kwh",
    "reactor_share",
    "reporting",
    "seconds_per_tick",
    "speed_km_h",
    "state_of_charge",
    "took_s",
    "turbine_scale",
    "value",
    "vehicle_scale",
    "vehicles",
    "voltage_v",
    "wait_s",
    "waiting",
    "way_s",
    "wind_m_per_s",
    "wind_scale",
    "with_sensors",
]

points
    |> filter(fn: (r) => contains(value: r._field, set: means))
    |> aggregateWindow(
        every: 15m, fn: mean, createEmpty: false, timeSrc: "_start",
    )
    |> to(bucket: "gridfleet_15m", org: "gridfleet")

mins = [
    "lowest_price_eur_per_kwh",
]

points
    |> filter(fn: (r) => contains(value: r._field, set: mins))
    |> aggregateWindow(
        every: 15m, fn: min, createEmpty: false, timeSrc: "_start",
    )
    |> to(bucket: "gridfleet_15m", org: "gridfleet")

maxs = [
    "backlog",
    "backlog_bytes",
    "brake_applied",
    "contactor_closed",
    "failures",
    "faulty",
    "gust_m_per_s",
    "highest_price_eur_per_kwh",
    "late_s",
    "meter_wh",
    "missing",
    "oldest_s",
    "plugged",
    "rounds",
    "rss_bytes",
    "silent_s",
    "suspended",
]

points
    |> filter(fn: (r) => contains(value: r._field, set: maxs))
    |> aggregateWindow(
        every: 15m, fn: max, createEmpty: false, timeSrc: "_start",
    )
    |> to(bucket: "gridfleet_15m", org: "gridfleet")

lasts = [
    "algorithm_in_force",
    "balance_eur",
    "breaches",
    "capacity_wh",
    "charger",
    "charger_stored_wh",
    "chargers",
    "checked",
    "connected",
    "connections",
    "contactor",
    "deadline_ms",
    "destination_latitude",
    "destination_longitude",
    "devices",
    "direction_deg",
    "dropped",
    "fault",
    "faults",
    "latitude",
    "longitude",
    "measured",
    "mode",
    "model",
    "next_latitude",
    "next_longitude",
    "note",
    "opened_because",
    "paused",
    "phase",
    "points",
    "ports",
    "reason",
    "received",
    "redelivered",
    "refused",
    "rejected",
    "rejects",
    "scenario",
    "sent",
    "simulated_ms",
    "status",
    "stored_wh",
    "synchronised",
    "text",
    "tick",
    "ticks_left",
    "unsettled_wh",
]

points
    |> filter(fn: (r) => contains(value: r._field, set: lasts))
    |> aggregateWindow(
        every: 15m, fn: last, createEmpty: false, timeSrc: "_start",
    )
    |> to(bucket: "gridfleet_15m", org: "gridfleet")
