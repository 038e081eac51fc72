"""`gridfleet watch` on a running fleet, and what it shows."""

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import (
    ChargerState,
    ClockState,
    ConsumerState,
    Control,
    Figure,
    Message,
    Mode,
    Phase,
    Presence,
    Role,
    Settings,
    StorageState,
    Tick,
)
from gridfleet.dashboards.console.site_view import SiteView
from gridfleet.dashboards.console.terminal_view import render
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from tests.console.conftest import Running
from tests.provisioning.shell import gridfleet, on_terminal, plain

LINE = re.compile(
    r"tick +\d+  \d\d \w+ \d\d:\d\d  lowest / mean price (nothing sold|\d\.\d{3} / \d\.\d{3})  producers \d+ kWh  "
    r"grid supply \d+ kWh  consumers \d+ kWh  chargers \d+ kWh  storages bought \d+ kWh  storages sold \d+ kWh  "
    r"stored \d+ kWh"
)


def test_without_a_terminal_it_writes_lines(running: Running, broker: EmbeddedBroker, tmp_path: Path) -> None:
    ended = gridfleet("watch", "--broker", broker.url, "--ticks", "3", cwd=tmp_path)
    assert (ended.code, ended.err) == (ExitCode.SUCCESS, "")
    lines = [line for line in ended.out.splitlines() if line.startswith("tick")]
    assert len(lines) == 3
    assert all(LINE.fullmatch(line) for line in lines), lines


def test_on_a_terminal_it_draws_a_view(running: Running, broker: EmbeddedBroker, tmp_path: Path) -> None:
    ended = on_terminal("watch", "--broker", broker.url, "--ticks", "3", cwd=tmp_path)
    assert ended.code == ExitCode.SUCCESS
    shown = plain(ended.out)
    for word in ("tick", "residual load", "Market", "Devices", "charger-1", "of 5 free", "Events"):
        assert word in shown


def test_ctrl_c_ends_it(running: Running, broker: EmbeddedBroker, tmp_path: Path) -> None:
    assert (
        on_terminal("watch", "--broker", broker.url, cwd=tmp_path, ctrl_c_at="Devices").code
        == ExitCode.SUCCESS
    )


def test_without_a_broker(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridfleet.provisioning.clients.site_client.CONNECT_TIMEOUT_S", 0.5)
    assert main(["watch", "--broker", "mqtt://127.0.0.1:1"]) == ExitCode.USAGE
    assert "127.0.0.1:1" in capsys.readouterr().err


# --- the view alone ---------------------------------------------------------------------------------------

TICK = Tick(0, Phase.BID, 0, 1, Mode.SCALED, 1.0, 9, paused=False, settings=Settings())
CLOCK = ClockState(
    0, 0, 0, False, "running", 0, 0, {}, "clock", {}, (), "clock", Mode.SCALED, False, 1.0, 10, Settings(), 0
)


def shown(view: SiteView, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    console.print(render(view, height))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.strip() for line in plain(console.file.getvalue()).splitlines())


REPORT: Final[dict[str, Any]] = {
    "tick": 0,
    "latitude": 0,
    "longitude": 0,
    "measured": False,
    "power_w": 0,
    "balance_neur": 0,
    "refused": {},
    "avoids": (),
    "demand_wh": 0,
    "bought_wh": 0,
    "paid_neur": 0,
}


def charger(status: str) -> ChargerState:
    return ChargerState(
        **REPORT,
        status=status,
        kind="charger",
        figures={},
        role="charger",
        stored_wh=5,
        capacity_wh=10,
        delivered_wh=0,
        charge_loss_wh=0,
        discharge_loss_wh=0,
        earned_neur=0,
        ports=5,
        ports_reserved=1,
    )


def storage(**changes: int) -> StorageState:
    return StorageState(
        **REPORT
        | {
            "announced_wh": 0,
            "sold_wh": 0,
            "unsettled_wh": 0,
            "earned_neur": 0,
            "stored_wh": 60,
            "capacity_wh": 100,
            "charge_loss_wh": 0,
            "discharge_loss_wh": 0,
        }
        | changes,
        status="discharging",
        kind="battery",
        figures={},
        role="storage",
    )


def test_text_of_devices_is_not_markup() -> None:
    view = SiteView()
    view.receive("", "clock", TICK, retained=False)
    view.receive("", "charger-1", charger("[red]x[/red]"), retained=False)
    view.note("[bold]x[/bold]")
    text = shown(view)
    assert "[red]x[/red]" in text
    assert "[bold]x[/bold]" in text
    assert "4 of 5 free" in text


def test_each_event_is_listed_once() -> None:
    view = SiteView()
    view.receive("", "clock", TICK, retained=True)
    view.receive("", "clock", replace(TICK, settings=Settings(wind_scale=2.0)), retained=False)
    view.receive("", "clock", replace(TICK, settings=Settings(wind_scale=2.0), paused=True), retained=False)
    for settings in (
        Settings(wind_scale=2.0, outage_s=20.0, chargers_out="all"),
        Settings(wind_scale=2.0, chargers_out="all"),
        Settings(wind_scale=2.0),
    ):
        view.receive("", "clock", replace(TICK, settings=settings, paused=True), retained=False)
    here = Presence(True, Role.CHARGER, "c", 0.0, 0.0)
    view.receive("c/charger", "charger-1", here, retained=True)
    view.receive("c/charger", "charger-1", replace(here, online=False), retained=False)
    view.receive("", "clock", replace(CLOCK, status="finished"), retained=False)
    texts = [line.split("  ", 1)[1] for line in view.events]
    assert texts == [
        "changed: wind_scale 1.0 -> 2.0",
        "paused",
        "chargers out of service: all",
        "outage drill: every device loses its connection for 20 s",
        "all chargers in service",
        "charger-1 is offline",
        "the run has ended",
    ]
    assert view.ended


def test_a_kind_that_nobody_knows_is_shown_by_role_with_its_figures() -> None:
    view = SiteView()
    figures = (Figure("indoor_c", "°C", "Temperature of the room"), Figure("cop"))
    births: tuple[tuple[str, Presence], ...] = (
        ("pump-1", Presence(True, Role.CONSUMER, "c", 0.0, 0.0, kind="heat-pump", figures=figures)),
        ("home-1", Presence(True, Role.CONSUMER, "c", 0.0, 0.0, kind="consumer")),
        ("sun-1", Presence(True, Role.PRODUCER, "c", 0.0, 0.0, kind="solar")),
        ("clock", Presence(True, Role.CLOCK, "site", 0.0, 0.0, kind="clock")),
    )
    account = ConsumerState(
        **REPORT, status="heating", kind="heat-pump", figures={"indoor_c": 20.25, "cop": 3.0}, role="consumer"
    )
    messages: tuple[tuple[str, Message], ...] = (("clock", TICK), *births, ("pump-1", account))
    for sender, message in messages:
        view.receive("", sender, message, retained=True)
    lines = shown(view).splitlines()
    assert any("producer 1   consumer 2 (1 consumer, 1 heat-pump)" in line for line in lines)
    line = next(line for line in lines if line.startswith("pump-1"))
    assert re.search(r"heat-pump +0\.0 kW +heating +indoor_c 20\.25 °C  cop 3$", line.rstrip())
    view.receive("", "pump-1", replace(births[0][1], online=False), retained=False)
    line = next(line for line in shown(view).splitlines() if line.startswith("pump-1"))
    assert " offline " in line


def test_storages_are_in_the_market_and_have_a_battery() -> None:
    view = SiteView()
    view.receive("", "clock", TICK, retained=True)
    assert "storages" not in shown(view)
    view.receive("", "battery-1", storage(sold_wh=30_000, power_w=120_000), retained=False)
    view.receive("", "battery-2", storage(bought_wh=7_000), retained=False)
    view.receive("", "clock", replace(TICK, tick=1), retained=False)
    text = shown(view)
    assert re.search(r"battery-1 +battery +60% +██████░░░░ +120\.0 kW +discharging", text)
    assert re.search(r"chargers +storages", text)
    assert re.search(r"\+30 −7$", text, re.MULTILINE)
    assert "storages bought 7 kWh  storages sold 30 kWh  stored 0 kWh" in view.new_lines[-1]


def test_few_lines_are_shared_by_storages_chargers_and_others() -> None:
    view = SiteView()
    view.receive("", "clock", TICK, retained=True)
    for number in range(1, 6):
        view.receive("", f"battery-{number}", storage(), retained=False)
        view.receive("", f"charger-{number}", charger("free"), retained=False)
    lines = shown(view, height=16).splitlines()
    listed = [line.split()[0] for line in lines if line.startswith(("battery-", "charger-"))]
    assert listed == ["battery-1", "battery-2", "charger-1"]
    assert any("and 7 more" in line for line in lines)


def test_control_characters_of_devices_do_not_reach_the_terminal() -> None:
    view = SiteView()
    view.receive("", "clock", TICK, retained=True)
    view.receive("", "charger-1", charger("\x1b[2Jfree"), retained=False)
    view.receive("algorithm", "somebody", Control("\x1b[2J", 1), retained=False)
    console = Console(file=io.StringIO(), width=120)
    console.print(render(view, 40))
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[2J" not in console.file.getvalue()
    assert "?[2Jfree" in console.file.getvalue()
    assert view.new_lines[-1].endswith("somebody requests algorithm = ?[2J")
