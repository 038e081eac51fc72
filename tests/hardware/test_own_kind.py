"""A kind of device from another package on pins: what it may do, and what each of its mistakes says."""

import re
from collections.abc import Callable, Iterator
from math import nan
from pathlib import Path
from typing import Any, ClassVar

import pytest

import gridfleet
from gridfleet import (
    AgentContext,
    AgentSettings,
    AgentType,
    Board,
    Channel,
    DeviceControl,
    DeviceFile,
    Pi,
    Pin,
    Producer,
    Role,
    SensorFault,
)
from gridfleet.devices.config.device_file import parse
from gridfleet.devices.edge.device_process import DeviceProcess
from gridfleet.devices.edge.hardware.faults import ControlError
from gridfleet.provisioning.cli.main import main
from gridfleet.testing import Bench, Incident, Phase, ProducerState, Sample
from tests.plugins import registered

FILE = """\
id = "weir"
kind = "hydro"
cell = "valley"
backend = "mock"
[broker]
url = "mqtt://127.0.0.1:1"
[adc]
[hydro]
gate = 17
full = 27
level = 2
"""


class HydroSettings(AgentSettings):
    """A gate, a float switch that shows a full basin, and a sensor of the water level."""

    PINS = ("gate", "full")
    CHANNELS = ("level",)
    NEEDED_ON_PINS: ClassVar[tuple[str, ...]] = ("gate", "full")
    gate: Pin | None = None
    full: Pin | None = None
    level: Channel | None = None


class Hydro(Producer):
    """Offers 2 kWh in each tick in which its basin is full."""

    kind = "hydro"

    def __init__(self, context: AgentContext[HydroSettings]) -> None:
        super().__init__(*context.identity, **context.as_seller)
        self._hardware = context.hardware

    def generate(self) -> int:
        full = self._hardware is None or self._hardware.full
        self.power_w = 8000 if full else 0
        return 2000 if full else 0


class HydroControl(DeviceControl):
    """Opens the gate while the basin is full; `mistake` is what a test lets it do."""

    mistake: ClassVar[str] = ""

    def __init__(self, device: DeviceFile, board: Board) -> None:
        super().__init__(device, board)
        settings: Any = device.settings
        if self.mistake == "constructor":
            raise RuntimeError("no gate")
        self.gate = board.output(settings.needed("gate"), high=False)
        self._float = board.input(settings.needed("full"), pull_up=True)
        self.adc = board.adc(0) if device.adc is not None else None
        self.full = False
        self.open_signals()

    def step(self) -> None:
        self.begin_step()
        if self.mistake == "exception":
            raise KeyError("gate")
        full = not self._float.high
        if full is not self.full:
            self.full = full
            self.gate.set(high=full)
            self.report("gate", "open" if self.mistake == "what" else "opened", "full")  # type: ignore[arg-type]

    def make_safe(self, reason: str) -> None:
        del reason
        self.gate.set(high=False)

    def readings(self) -> dict[str, float]:
        return {"level_m": nan if self.mistake == "reading" else 1.5}


class Basin:
    """The float switch of a full basin."""

    def __init__(self, pi: Pi, device: DeviceFile) -> None:
        self.due_s = pi.now_s
        self._pi = pi
        self._settings: Any = device.settings

    def act(self) -> None:
        self._pi.drive(self._settings.full, high=False)
        self.due_s = self._pi.now_s + 1.0


def hydro(**changes: object) -> AgentType[HydroSettings]:
    """The kind, or a wrong variant of it."""
    parts: dict[str, Any] = {"settings": HydroSettings, "control": HydroControl, "plant": Basin, **changes}
    return AgentType(name="hydro", role=Role.PRODUCER, build=Hydro, **parts)


@pytest.fixture(autouse=True)
def kind() -> Iterator[None]:
    """The kind, as if its package was installed."""
    with registered(gridfleet.AGENT_TYPES, hydro()):
        yield


@pytest.fixture
def mistake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the control loop does wrong."""
    monkeypatch.setattr(HydroControl, "mistake", request.param)
    return str(request.param)


def test_a_producer_on_pins_sells_to_a_scripted_buyer(hil_bench: Bench) -> None:
    weir = hil_bench.device(FILE)
    buyer = hil_bench.buyer("valley")
    weir.switch(17).goes(on=True, within_s=2.0)
    tick = hil_bench.clock.tick()
    bid = buyer.bid(tick, 1500, 600_000)
    hil_bench.clock.phase(Phase.TRADE)
    award = buyer.buy("weir")
    assert (award.tick, [lot.energy_wh for lot in award.lots]) == (tick, [1500])
    assert award.lots[0].price_ueur_per_kwh <= bid.packages[0].price_ueur_per_kwh
    hil_bench.clock.phase(Phase.SETTLE)
    hil_bench.wait(lambda: account(hil_bench, tick) is not None, "its account")
    state = account(hil_bench, tick)
    assert state is not None
    assert (state.sold_wh, state.curtailed_wh) == (1500, 500)


def test_what_the_buyer_refuses_is_not_sold(hil_bench: Bench) -> None:
    weir = hil_bench.device(FILE)
    buyer = hil_bench.buyer("valley")
    weir.switch(17).goes(on=True, within_s=2.0)
    tick = hil_bench.clock.tick()
    buyer.bid(tick, 1500, 600_000)
    hil_bench.clock.phase(Phase.TRADE)
    buyer.buy("weir", take=False)
    hil_bench.clock.phase(Phase.SETTLE)
    hil_bench.wait(lambda: account(hil_bench, tick) is not None, "its account")
    state = account(hil_bench, tick)
    assert state is not None
    assert (state.sold_wh, state.curtailed_wh) == (0, 2000)


def account(bench: Bench, tick: int) -> ProducerState | None:
    """The producer's account of a tick."""
    return next((each for each in bench.collector.all(ProducerState, "weir") if each.tick == tick), None)


def test_a_fault_is_an_incident_and_part_of_each_sample(hil_bench: Bench) -> None:
    weir = hil_bench.device(FILE)
    weir.control.set_fault("level", SensorFault.DISCONNECTED)
    weir.control.set_fault("level", SensorFault.DISCONNECTED)
    assert weir.control.faults == ("level: disconnected",)
    weir.device.publish_sample()
    weir.control.set_fault("level", None)
    weir.device.publish_incidents()
    collector = hil_bench.collector
    hil_bench.wait(lambda: len(collector.all(Incident, "weir")) >= 2, "both incidents")
    assert collector.incidents("weir")[-2:] == [
        ("level", "failed", "disconnected"),
        ("level", "recovered", "disconnected"),
    ]
    assert collector.all(Sample, "weir")[-1].faults == ("level: disconnected",)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda control: control.report("gate", "open", "full"),
            "report: what = 'open'; allowed are opened, closed, applied, released, failed, recovered",
        ),
        (
            lambda control: control.report("g" * 65, "opened", "full"),
            f"report: part = '{'g' * 65}'; allowed is a text of at most 64 characters",
        ),
        (
            lambda control: control.report("gate", "opened", 7),
            "report: reason = 7; allowed is a text of at most 64 characters",
        ),
        (
            lambda control: control.set_fault("level", "broken"),
            (
                "set_fault: fault = 'broken'; allowed are None, SensorFault.STUCK, SensorFault.BOUNCE, "
                "SensorFault.MISSING, SensorFault.OUT_OF_RANGE, SensorFault.DISCONNECTED, SensorFault.OFFSET"
            ),
        ),
        (
            lambda control: control.set_fault("l" * 51, SensorFault.STUCK),
            f"set_fault: part = '{'l' * 51}'; allowed is a text of at most 50 characters",
        ),
    ],
    ids=["what", "part", "reason", "fault", "part of a fault"],
)
def test_a_wrong_report_is_refused_at_once(
    hil_bench: Bench, call: Callable[[DeviceControl], None], text: str
) -> None:
    control = hil_bench.device(FILE).control
    with pytest.raises(ControlError, match=f"^{re.escape(text)}$"):
        call(control)
    assert not control.events


PLACE = r"\(test_own_kind\.py, line \d+\)"


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (
            "what",
            rf"weir, a hydro: control loop: report: what = 'open'; allowed are .* {PLACE}; correct HydroControl",
        ),
        ("exception", rf"weir, a hydro: control loop: KeyError: 'gate' {PLACE}; correct HydroControl"),
        (
            "reading",
            r"weir, a hydro: readings\(\) or faults give an invalid sample: readings.level_m.*; correct HydroControl",
        ),
        ("constructor", rf"weir, a hydro: its control loop cannot be built: RuntimeError: no gate {PLACE}"),
    ],
    indirect=["mistake"],
)
def test_a_mistake_of_the_control_loop_ends_the_device_with_one_line(mistake: str, text: str) -> None:
    file = parse(FILE + "[telemetry]\nevery_s = 0.1\n", "weir.toml")
    with pytest.raises(ControlError, match=f"^{text}$"), DeviceProcess(file) as running:
        running.run(lambda: False)
    assert mistake


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (FILE.replace("gate = 17\n", ""), "hydro.gate: missing; a hydro on pins needs it"),
        (FILE.replace("full = 27", "full = 17"), "hydro.full = 17: GPIO17 is already used by hydro.gate"),
        (FILE.replace("[adc]\n", ""), "hydro.level = 2: needs a converter; add the table [adc]"),
    ],
    ids=["needed", "twice", "converter"],
)
def test_a_wrong_device_file_names_the_key(text: str, problem: str) -> None:
    with pytest.raises(gridfleet.GridFleetError) as error:
        parse(text, "weir.toml")
    assert problem in str(error.value)


def test_without_pins_nothing_is_needed() -> None:
    text = FILE.partition("[adc]")[0].replace("mock", "synthetic")
    assert parse(text, "weir.toml").settings == HydroSettings()


def test_settings_define_the_pins_that_they_name() -> None:
    class Misspelt(HydroSettings):
        NEEDED_ON_PINS: ClassVar[tuple[str, ...]] = ("gaet",)

    with pytest.raises(ValueError, match="NEEDED_ON_PINS name gaet, which it does not define"):
        hydro(settings=Misspelt)


# --- gridfleet device check ---------------------------------------------------------------------------------


def check(tmp_path: Path, text: str) -> int:
    (tmp_path / "weir.toml").write_text(text, encoding="utf-8")
    return main(["device", "check", str(tmp_path / "weir.toml")])


def test_check_builds_the_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, FILE) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  GPIO17 hydro.gate",
        "  GPIO27 hydro.full",
        "  CH2    hydro.level",
        "its agent and its control loop can be built, and it has made a step on mocked pins",
    ]
    assert check(tmp_path, FILE.partition("[adc]")[0].replace("mock", "synthetic")) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "its agent can be built"


def test_check_touches_no_real_pin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, FILE.replace("mock", "gpio")) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .startswith("not built: `gridfleet device run` opens the pins")
    )


@pytest.mark.parametrize("mistake", ["constructor", "exception", "reading"], indirect=True)
def test_check_says_what_cannot_be_built(
    mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path, FILE) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, mistake
    assert lines[0].startswith("gridfleet: weir, a hydro: ")


def test_check_says_that_the_agent_cannot_be_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hydro, "role", Role.CONSUMER)
    assert check(tmp_path, FILE) == 2
    assert "weir, a hydro: cannot be built: Hydro: role = 'consumer'" in capsys.readouterr().err
