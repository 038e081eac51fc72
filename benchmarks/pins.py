"""What pins cost: counting an anemometer's pulses, a step of a control loop, and a device as a whole."""

import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.measure import ROOT, spent
from benchmarks.table import show
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.messages import Bid, Supply
from gridfleet.devices.config.device_file import parse
from gridfleet.devices.edge.hardware.charger import ChargerControl
from gridfleet.devices.edge.hardware.control import ControlLoop
from gridfleet.devices.edge.hardware.turbine import TurbineControl
from gridfleet.devices.edge.hil.mock_pi import MockPi
from gridfleet.devices.edge.hil.participants import MessageCollector, ScriptedClock
from gridfleet.devices.edge.hil.plants import ChargingPlant

PULSES: Final = 10_000
HERTZ: Final = 100
STEPS_HZ: Final = 20
_BROKER: Final = '[broker]\nurl = "mqtt://localhost"\n'
_TURBINE: Final = f'id = "turbine-1"\nkind = "turbine"\nbackend = "mock"\n{_BROKER}'
_CHARGER: Final = f'id = "charger-1"\nkind = "charger"\nbackend = "mock"\n{_BROKER}'
TURBINE: Final = f"{_TURBINE}[anemometer]\npin = 4\n[brake]\npin = 27\n"
CHARGER: Final = (
    f"{_CHARGER}[adc]\n[plug]\npin = 5\n[contactor]\npin = 17\n[stop]\npin = 6\n"
    "[current]\nchannel = 0\n[voltage]\nchannel = 1\n"
)


def run(*, quick: bool) -> None:
    """Measure and print."""
    _pulses(PULSES // 10 if quick else PULSES)
    _steps(100 if quick else 2000)
    _devices(1 if quick else 5)


def _pulses(pulses: int) -> None:
    """Count pulses on a mocked pin, the control loop coming round twenty times a second."""
    pi = MockPi()
    control = TurbineControl(parse(TURBINE, "turbine"), pi.board())
    pi.drive(4, high=True)

    def work() -> None:
        for number in range(pulses):
            pi.drive(4, high=False)
            pi.pass_time(0.2 / HERTZ)
            pi.drive(4, high=True)
            pi.pass_time(0.8 / HERTZ)
            if number % (HERTZ // STEPS_HZ) == 0:
                control.step()

    cpu_s = spent(work).cpu_s
    control.step()
    assert control.wind.pulses == pulses
    share = 100 * cpu_s / (pulses / HERTZ)
    show(
        f"Pins: {pulses} pulses at {HERTZ} Hz, control loop at {STEPS_HZ} Hz",
        ["", "counted", "CPU per pulse, µs", "share of a core, %"],
        [["anemometer on a mocked pin", control.wind.pulses, cpu_s / pulses * 1e6, share]],
    )


def _steps(steps: int) -> None:
    """Step the loops of a turbine and of a charger that reads its meter in every step."""
    rows: list[list[str | float]] = []
    for name, pi, control in (_turbine(), _charger()):

        def work(pi: MockPi = pi, control: ControlLoop = control) -> None:
            for _ in range(steps):
                control.step()
                pi.pass_time(1 / STEPS_HZ)

        cpu_s = spent(work).cpu_s
        rows.append([name, cpu_s / steps * 1e6, 100 * cpu_s / steps * STEPS_HZ])
    show("Pins: a step of the control loop", ["", "CPU, µs", f"share of a core at {STEPS_HZ} Hz, %"], rows)


def _turbine() -> tuple[str, MockPi, ControlLoop]:
    pi = MockPi()
    return "turbine in still air", pi, TurbineControl(parse(TURBINE, "turbine"), pi.board())


def _charger() -> tuple[str, MockPi, ControlLoop]:
    pi = MockPi()
    file = parse(CHARGER, "charger")
    control = ChargerControl(file, pi.board())
    control.closed = True  # so that it reads the meter every time
    ChargingPlant(pi, file)
    return "charger, 40 conversions a step", pi, control


def _devices(rounds: int) -> None:
    """Start devices as processes, and see what they take until they bid."""
    cases = {
        "turbine, synthetic": TURBINE.replace('"mock"', '"synthetic"'),
        "charger, synthetic": CHARGER.replace('"mock"', '"synthetic"'),
        "turbine, mocked pins": TURBINE,
        "charger, mocked pins": CHARGER,
    }
    rows: list[list[str | float]] = []
    with EmbeddedBroker() as broker, tempfile.TemporaryDirectory() as folder:
        for number, (name, text) in enumerate(cases.items()):
            path = Path(folder) / f"{number}.toml"
            path.write_text(f'site = "site-{number}"\n' + text.replace("mqtt://localhost", broker.url))
            found = [_start(broker.url, f"site-{number}", path) for _ in range(rounds)]
            rows.append([name, median(each[0] for each in found), median(each[1] for each in found)])
    show(
        f"Pins: `gridfleet device run`, median of {rounds}",
        ["device", "start to first bid, s", "memory at its highest, MB"],
        rows,
    )


def _start(url: str, site: str, path: Path) -> tuple[float, float]:
    with MqttLoop(BrokerAddress.parse(url), schema=SCHEMA) as loop:
        clock, listener = ScriptedClock(loop, site), MessageCollector(loop, site)
        loop.wait_online(10.0)
        clock.tick()
        began_s = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "gridfleet", "device", "run", str(path)],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        ) as process:
            loop.run_until(
                lambda: any(isinstance(message, Bid | Supply) for _, message in listener.messages), 20.0
            )
            took_s = time.perf_counter() - began_s
            loop.run_until(lambda: False, 1.0)
            peak = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process.pid}/status").read_text())
            assert peak is not None
            process.send_signal(signal.SIGTERM)
        return took_s, int(peak[1]) / 1024
