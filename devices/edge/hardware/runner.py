"""Runs a control loop in a thread of its own, and wakes the market's loop when something has happened.

A thread of its own, because the market's loop may stand still for seconds – the resolver of names blocks, an SD
card takes its time to sync – and a contactor may not wait for either. What is shared is described in `control`.
"""

import logging
import os
import threading
from typing import Final, Self

from gridfleet.devices.edge.hardware.control import Control

LOG: Final = logging.getLogger(__name__)
END_S: Final = 2.0


class ControlThread:
    """Context manager: steps the control at least every `period_s`, and at once when an edge wakes it.

    Whatever fails in a step makes the outputs safe and ends the loop; `failure` then tells, and `descriptor`, an
    eventfd, becomes readable as it does for every happening. Ends with safe outputs.
    """

    def __init__(self, control: Control, period_s: float) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.failure: Exception | None = None
        self._control = control
        self._period_s = period_s
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        control.wake = self._wake.set

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._wake.set()
        self._thread.join(END_S)
        os.close(self.descriptor)

    def heard(self) -> None:
        """Make `descriptor` unreadable again."""
        os.eventfd_read(self.descriptor)

    def _run(self) -> None:
        control = self._control
        try:
            while not self._ending:
                known = len(control.happenings)
                control.step()
                if len(control.happenings) > known:
                    os.eventfd_write(self.descriptor, 1)
                self._wake.wait(self._period_s)
                self._wake.clear()
        except Exception as error:
            LOG.exception("the control loop has failed")
            self.failure = error
        finally:
            control.make_safe("shut down" if self.failure is None else "control loop failed")
            os.eventfd_write(self.descriptor, 1)
