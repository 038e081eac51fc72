"""The control loop's thread: it runs alone, wakes for edges, and always ends with safe outputs."""

import select
from collections.abc import Iterator

import pytest

from gridfleet.devices.agents.instruments import Permit
from gridfleet.devices.config.device_file import DeviceFile, parse
from gridfleet.devices.edge.hardware import charger, contactor
from gridfleet.devices.edge.hardware.charger import ChargerControl
from gridfleet.devices.edge.hardware.control import AgentStatus
from gridfleet.devices.edge.hardware.control_thread import ControlThread
from gridfleet.devices.edge.hil.mock_pi import MockPi, RealClock
from gridfleet.devices.edge.hil.plants import ChargingPlant
from tests.waiting import PATIENCE_S, wait_until

from .files import CHARGER


class Rig:
    """A charger in real time, without broker or agent."""

    def __init__(self) -> None:
        self.file: DeviceFile = parse(CHARGER.replace("feedback = 22\n", ""), "rig")
        self.pi = MockPi(RealClock())
        self.control = ChargerControl(self.file, self.pi.board())
        self.plant = ChargingPlant(self.pi, self.file)

    def permit(self) -> None:
        """Give a permit, and set agent and broker as seen for the next hour."""
        ahead_s = self.pi.now_s + 3600
        self.control.agent_status = AgentStatus(Permit("v1", 1, 10_000), ahead_s, ahead_s)

    @property
    def closed(self) -> bool:
        return self.pi.level(17)[0]


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A rig without the limits that a busy machine would exceed: these tests are about threads."""
    monkeypatch.setattr(charger, "MAX_UNMETERED_S", 1e9)
    monkeypatch.setattr(contactor, "MAX_STEP_GAP_S", 1e9)
    rig = Rig()
    yield rig
    rig.pi.close()


def test_it_runs_without_the_agents_loop(rig: Rig) -> None:
    with ControlThread(rig.control, 0.05):
        rig.permit()
        rig.plant.plug_in()
        wait_until(lambda: rig.closed)
        rig.plant.unplug()
        wait_until(lambda: not rig.closed)
    assert rig.control.opened_because == "unplugged"


def test_an_edge_wakes_it_at_once(rig: Rig) -> None:
    with ControlThread(rig.control, PATIENCE_S * 10):  # its period is longer than the test
        wait_until(lambda: rig.control.last_step_s > 0)
        rig.permit()
        before_s = rig.control.last_step_s
        rig.plant.plug_in()
        wait_until(lambda: rig.control.last_step_s > before_s)


def test_an_event_makes_its_descriptor_readable(rig: Rig) -> None:
    with ControlThread(rig.control, 0.05) as thread:
        rig.permit()
        rig.plant.plug_in()
        assert select.select([thread.descriptor], [], [], PATIENCE_S)[0]
        thread.clear()
        assert rig.control.events


def test_it_ends_with_the_contactor_open(rig: Rig) -> None:
    with ControlThread(rig.control, 0.05):
        rig.permit()
        rig.plant.plug_in()
        wait_until(lambda: rig.closed)
    assert not rig.closed
    assert rig.control.opened_because == "shut down"


def test_a_failing_step_opens_the_contactor_and_is_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with ControlThread(rig.control, 0.05) as thread:
        rig.permit()
        rig.plant.plug_in()
        wait_until(lambda: rig.closed)

        def broken() -> None:
            raise RuntimeError("out of order")

        rig.control.step = broken  # type: ignore[method-assign]
        wait_until(lambda: thread.failure is not None)
        wait_until(lambda: not rig.closed)
    assert str(thread.failure) == "out of order"
    assert rig.control.opened_because == "control loop failed"
    assert "the control loop has failed" in caplog.text
