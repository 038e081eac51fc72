"""Runs a control loop in a thread of its own, and wakes the agent's loop when there is an event to publish.

The agent's loop may block for seconds (name resolution, fsync on an SD card), and a contactor must not wait for that.
`control` describes what the two threads share.
"""

import logging
import os
import threading
from typing import Final, Self

from gridfleet.devices.edge.hardware.control import ControlLoop

LOG: Final = logging.getLogger(__name__)
JOIN_S: Final = 2.0


class ControlThread:
    """Context manager: calls `step` at least every `period_s`, and at once when an edge wakes it.

    An exception in a step ends the loop and is kept in `failure`. `descriptor`, an eventfd, becomes readable after
    every event and at the end. The outputs are made safe at the end.
    """

    def __init__(self, control: ControlLoop, period_s: float) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.failure: Exception | None = None
        self._control = control
        self._period_s = period_s
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        control.wake = self._wake.set

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._wake.set()
        self._thread.join(JOIN_S)
        os.close(self.descriptor)

    def clear(self) -> None:
        """Make `descriptor` unreadable again."""
        os.eventfd_read(self.descriptor)

    def _run(self) -> None:
        control = self._control
        try:
            while not self._stopping:
                known = len(control.events)
                control.step()
                if len(control.events) > known:
                    os.eventfd_write(self.descriptor, 1)
                self._wake.wait(self._period_s)
                self._wake.clear()
        except Exception as error:
            LOG.exception("the control loop has failed")
            self.failure = error
        finally:
            self._make_safe("shut down" if self.failure is None else "control loop failed")
            os.eventfd_write(self.descriptor, 1)

    def _make_safe(self, reason: str) -> None:
        try:
            self._control.make_safe(reason)
        except Exception as error:
            LOG.exception("the outputs could not be made safe")
            self.failure = self.failure or error
