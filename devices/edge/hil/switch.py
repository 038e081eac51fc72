"""Assertions on the pin of a contactor or brake, and on the times of its changes."""

from typing import Protocol

from gridfleet.devices.edge.hil.pi import Pi


class BenchTime(Protocol):
    """The part of a bench that a switch needs."""

    @property
    def pi(self) -> Pi:
        """The Pi under test."""
        ...

    @property
    def now_s(self) -> float:
        """The bench's time."""
        ...

    def run(self, seconds: float) -> None:
        """Let time pass."""


class Switch:
    """A contactor or a brake, by the pin that drives it."""

    def __init__(self, bench: BenchTime, pin: int, *, on_when: str) -> None:
        self._bench = bench
        self.pin = pin
        self._on_high = on_when == "high"

    @property
    def on(self) -> bool:
        """Whether it is driven on: the contactor closed, the brake applied."""
        high, _ = self._bench.pi.level(self.pin)
        return high is self._on_high

    def goes(self, *, on: bool, within_s: float) -> float:
        """Run until it goes on or off; return the seconds that took; AssertionError with its history if it does not."""
        start_s = self._bench.now_s
        if self.on is on:
            raise AssertionError(f"GPIO{self.pin} is {self._name(on=on)} already. {self.history()}")
        while self.on is not on:
            if self._bench.now_s - start_s > within_s:
                raise AssertionError(
                    f"GPIO{self.pin} is not {self._name(on=on)} after {within_s:g} s. {self.history()}"
                )
            self._bench.run(min(within_s / 20, 0.005))
        change = self._bench.pi.changes(self.pin, start_s)[-1]
        if change.at_s - start_s > within_s:
            raise AssertionError(f"GPIO{self.pin} took {change.at_s - start_s:.3f} s. {self.history()}")
        return change.at_s - start_s

    def closes(self, within_s: float) -> float:
        """Run until a contactor closes; return the seconds that took."""
        return self.goes(on=True, within_s=within_s)

    def opens(self, within_s: float) -> float:
        """Run until a contactor opens; return the seconds that took."""
        return self.goes(on=False, within_s=within_s)

    def stays(self, *, on: bool, for_s: float) -> None:
        """Run for that time; raise AssertionError if it changes."""
        start_s = self._bench.now_s
        if self.on is not on:
            raise AssertionError(f"GPIO{self.pin} is not {self._name(on=on)}. {self.history()}")
        self._bench.run(for_s)
        if self.on is not on or any(
            change.at_s > start_s for change in self._bench.pi.changes(self.pin, start_s)
        ):
            raise AssertionError(
                f"GPIO{self.pin} did not stay {self._name(on=on)} for {for_s:g} s. {self.history()}"
            )

    def history(self) -> str:
        """Return the pin's last changes in words."""
        now_s = self._bench.now_s
        changes = self._bench.pi.changes(self.pin)[-6:]
        listed = [f"{change.at_s - now_s:+.3f} s {'high' if change.high else 'low'}" for change in changes]
        return f"Its last changes: {', '.join(listed) or 'none'}."

    def _name(self, *, on: bool) -> str:
        return "on" if on else "off"
