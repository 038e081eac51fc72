"""`gridfleet device check --watch`: prints what a device's sensors measure, once a second, without a broker."""

import time
from collections.abc import Iterator
from typing import Final

from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge.control_errors import explained
from gridfleet.devices.edge.device_agent import control_loop
from gridfleet.devices.edge.device_process import open_board
from gridfleet.devices.edge.hardware.control import ControlLoop, DeviceControl
from gridfleet.devices.edge.hardware.control_thread import ControlThread
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.interrupt import Interruption

EVERY_S: Final = 1.0
"""Seconds between two lines."""
POLL_S: Final = 0.05
"""How soon Ctrl-C and a change at the pins are noticed, in seconds."""


def watch(source: str, file: DeviceFile) -> None:
    """Run the control loop and print its readings until a signal. No agent runs: the contactor stays open.

    Raises CommandError for a device without pins, HardwareError for pins that cannot be opened,
    and what a control loop raises.
    """
    board = open_board(file)
    if board is None:
        raise CommandError(source, f"backend = {file.backend!r} has no pins: --watch needs gpio or mock")
    try:
        control = control_loop(file, board)
        with Interruption() as interruption, ControlThread(control, file.control.period_s) as thread:
            due_s = time.monotonic() + EVERY_S
            while not interruption.requested and thread.failure is None:
                time.sleep(POLL_S)
                for line in _changes(control):
                    print(line, flush=True)
                if time.monotonic() >= due_s:
                    due_s += EVERY_S
                    print(readings_line(control), flush=True)
        if thread.failure is not None:
            raise explained(file, control, thread.failure)
    finally:
        board.close()


def readings_line(control: ControlLoop) -> str:
    """Return the present readings and faults in one line."""
    more = control.more_readings() if isinstance(control, DeviceControl) else {}
    found = [f"{name} {value:g}" for name, value in (more | control.readings()).items()]
    if control.faults:
        found.append(f"[{', '.join(control.faults)}]")
    return "  ".join(found) or "no readings yet"


def _changes(control: ControlLoop) -> Iterator[str]:
    """Yield what has happened at the pins since the last call."""
    while control.events:
        event = control.events.popleft()
        yield f"{event.part} {event.what}: {event.reason}"
