"""When a control loop on the bench makes its next step."""

from math import inf

from gridfleet.devices.edge.hardware.control import ControlLoop


class StepSchedule:
    """The time of a control loop's next step: after its period, or at once when an edge wakes it."""

    def __init__(self, control: ControlLoop, period_s: float, now_s: float) -> None:
        self.control = control
        self.due_s = now_s
        self._period_s = period_s
        control.wake = self._wake

    def step(self) -> None:
        """Make a step; the next one is due after the period."""
        self.due_s = inf
        self.control.step()
        self.due_s = min(self.due_s, self.control.now_s() + self._period_s)

    def _wake(self) -> None:
        self.due_s = self.control.now_s()
