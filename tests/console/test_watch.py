"""`gridfleet watch` on a running fleet, and what it shows."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import (
    ChargerState,
    ClockState,
    Mode,
    Phase,
    Presence,
    Role,
    Settings,
    Tick,
)
from gridfleet.dashboards.console.terminal_view import SiteView, render
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from tests.console.conftest import Running
from tests.provisioning.shell import gridfleet, on_terminal, plain

LINE = re.compile(
    r"tick +\d+  \d\d \w+ \d\d:\d\d  price (nothing sold|\d\.\d{3} / \d\.\d{3})  wind \d+ kWh  reactor \d+ kWh  "
    r"consumers \d+ kWh  chargers \d+ kWh  stored \d+ kWh"
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
    for word in ("tick", "residual load", "Market", "Chargers", "charger-1", "of 5 free", "Events"):
        assert word in shown


def test_ctrl_c_ends_it(running: Running, broker: EmbeddedBroker, tmp_path: Path) -> None:
    assert (
        on_terminal("watch", "--broker", broker.url, cwd=tmp_path, ctrl_c_at="Chargers").code
        == ExitCode.SUCCESS
    )


def test_without_a_broker(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridfleet.provisioning.clients.site_client.CONNECT_TIMEOUT_S", 0.5)
    assert main(["watch", "--broker", "mqtt://127.0.0.1:1"]) == ExitCode.USAGE
    assert "127.0.0.1:1" in capsys.readouterr().err


# --- the view alone ---------------------------------------------------------------------------------------

TICK = Tick(0, Phase.BID, 0, 1, Mode.SCALED, 1.0, 9, paused=False, settings=Settings())
CLOCK = ClockState(
    0, 0, 0, False, "running", 0, 0, {}, "clock", {}, "clock", Mode.SCALED, False, 1.0, 10, Settings(), 0
)


def shown(view: SiteView) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    console.print(render(view, 40))
    assert isinstance(console.file, io.StringIO)
    return plain(console.file.getvalue())


def test_text_of_devices_is_not_markup() -> None:
    view = SiteView()
    view.receive("", "clock", TICK, retained=False)
    state = ChargerState(
        tick=0,
        latitude=0,
        longitude=0,
        measured=False,
        status="[red]x[/red]",
        power_w=0,
        balance_neur=0,
        refused={},
        kind="charger",
        figures={},
        role="charger",
        demand_wh=0,
        bought_wh=0,
        paid_neur=0,
        stored_wh=5,
        capacity_wh=10,
        delivered_wh=0,
        charge_loss_wh=0,
        discharge_loss_wh=0,
        earned_neur=0,
        ports=5,
        ports_reserved=1,
    )
    view.receive("", "charger-1", state, retained=False)
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
