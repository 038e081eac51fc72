"""The command tree: parser, help, shell completion and docs/reference/commands.md are made from it."""

from typing import Final

from gridfleet.provisioning.commands import completion
from gridfleet.provisioning.commands.command import Command, Group, Section, command_of, commands_by_path
from gridfleet.provisioning.commands.containers import compose, kubernetes
from gridfleet.provisioning.commands.devices import bundle, device, doctor, enrol, flash, revoke, upgrade
from gridfleet.provisioning.commands.live import console, set_control, trust, watch
from gridfleet.provisioning.commands.runs import compare, replay, report, rerun, run, simulate, sweep
from gridfleet.provisioning.commands.scenarios import check, import_weather, list_scenarios, show
from gridfleet.provisioning.commands.services import broker_check, grafana, health, influx
from gridfleet.provisioning.commands.site import (
    broker,
    chaos,
    clock,
    fleet,
    init,
    purge,
    record,
    rotate,
    status,
)

DESCRIPTION: Final = (
    "GridFleet: a power grid of bargaining devices. Wind turbines, households, charging stations and electric\n"
    "vehicles trade energy over MQTT every 15 simulated minutes; vehicles also reserve charging ports."
)
EXAMPLES: Final = (
    "gridfleet scenario list",
    "gridfleet simulate storm",
    "gridfleet run normal",
)

SCENARIO: Final = Group(
    "scenario",
    "list, show and check scenarios",
    "A scenario is a TOML file with the devices, the weather and the events of a site. docs/reference/scenario.md\n"
    "lists every key.",
    (
        command_of("list", list_scenarios),
        command_of("show", show),
        command_of("check", check),
    ),
)
WEATHER: Final = Group(
    "weather",
    "convert weather files",
    "A scenario reads wind and temperature from a CSV file, or from archives of DWD.\n"
    "docs/how-to/studies/real-weather.md describes both.",
    (command_of("import", import_weather),),
)
SITE: Final = Group(
    "site",
    "operate a site: secrets, broker, clock, fleet, recorder",
    "A site is a broker with the processes that connect to it: one clock, the devices, and a recorder. Each process\n"
    "may fail and be restarted. docs/how-to/site/ has a guide for each task.",
    (
        command_of("init", init),
        command_of("rotate", rotate),
        command_of("broker", broker),
        command_of("clock", clock),
        command_of("fleet", fleet),
        command_of("record", record),
        command_of("status", status),
        command_of("chaos", chaos),
        command_of("purge", purge),
    ),
)
DEVICE: Final = Group(
    "device",
    "check, run, enrol, flash and upgrade real devices",
    "A device is described by a device file (TOML): its id, its broker, its pins. docs/reference/device-file.md\n"
    "lists every key; docs/how-to/devices/ has a guide for each task.",
    (
        device.CHECK,
        device.RUN,
        device.SAFE,
        command_of("enrol", enrol),
        command_of("flash", flash),
        command_of("bundle", bundle),
        command_of("upgrade", upgrade),
        command_of("revoke", revoke),
        command_of("doctor", doctor),
    ),
)
DEPLOY: Final = Group(
    "deploy",
    "run a site in containers",
    "Prepare what a site in containers needs. docs/how-to/deploy/ describes both ways.",
    (command_of("compose", compose), command_of("kubernetes", kubernetes)),
)
BROKER: Final = Group(
    "broker",
    "check a broker of your own",
    "A site can use a broker of yours: Mosquitto, EMQX or another with MQTT 5. docs/how-to/site/existing-broker.md\n"
    "says how; docs/reference/messages.md lists topics and access rules. `gridfleet site broker` starts one.",
    (command_of("check", broker_check),),
)
INFLUX: Final = Group(
    "influx",
    "set up and check InfluxDB for telemetry",
    "InfluxDB keeps the telemetry that `gridfleet run --influx` and `gridfleet site record --influx` write.\n"
    "docs/how-to/site/record.md describes it.",
    (command_of("setup", influx), influx.CHECK),
)
GRAFANA: Final = Group(
    "grafana",
    "write, push, compare or annotate dashboards for Grafana",
    "Write dashboards and alert rules as files that Grafana provisions itself from, or manage them on a server\n"
    "through its API, which needs a file with the token of a service account that has the role Editor. With\n"
    "docker compose nothing of this is needed. docs/how-to/site/grafana.md describes the pages.",
    (grafana.WRITE, grafana.CHECK, grafana.PUSH, grafana.DIFF, grafana.ANNOTATE),
)

TREE: Final = (
    Section(
        "runs",
        (
            command_of("run", run),
            command_of("simulate", simulate),
            command_of("compare", compare),
            command_of("sweep", sweep),
            command_of("report", report),
            command_of("replay", replay),
            command_of("rerun", rerun),
        ),
    ),
    Section(
        "live view and control",
        (
            command_of("watch", watch),
            command_of("set", set_control),
            command_of("trust", trust),
            command_of("console", console),
        ),
    ),
    Section("scenarios, sites, devices", (SCENARIO, WEATHER, SITE, DEVICE)),
    Section("deployment and services", (DEPLOY, BROKER, INFLUX, GRAFANA, command_of("health", health))),
    Section("shell", (command_of("completion", completion),)),
)

COMMANDS: Final[dict[str, Command]] = dict(commands_by_path(TREE))
"""Every command by its path, such as `run` or `site init`."""
