"""Assertions on a switch's pin and its times, in words that a test reads by."""

from typing import Protocol

from gridfleet.devices.edge.hil.pi import Pi


class Timed(Protocol):
    """What a switch needs of a bench."""

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
    """A contactor or a brake by the pin that drives it."""

    def __init__(self, bench: Timed, pin: int, *, on_when: str) -> None:
        self._bench = bench
        self.pin = pin
        self._on_high = on_when == "high"

    @property
    def on(self) -> bool:
        """Whether it is driven on now: the contactor closed, the brake applied."""
        high, _ = self._bench.pi.level(self.pin)
        return high is self._on_high

    def goes(self, *, on: bool, within_s: float) -> float:
        """Run until it goes on or off; return after how long; AssertionError with its history if it does not."""
        begun_s = self._bench.now_s
        if self.on is on:
            raise AssertionError(f"GPIO{self.pin} is {self._word(on=on)} already. {self.history()}")
        while self.on is not on:
            if self._bench.now_s - begun_s > within_s:
                raise AssertionError(
                    f"GPIO{self.pin} is not {self._word(on=on)} after {within_s:g} s. {self.history()}"
                )
            self._bench.run(min(within_s / 20, 0.005))
        change = self._bench.pi.changes(self.pin, begun_s)[-1]
        if change.at_s - begun_s > within_s:
            raise AssertionError(f"GPIO{self.pin} took {change.at_s - begun_s:.3f} s. {self.history()}")
        return change.at_s - begun_s

    def closes(self, within_s: float) -> float:
        """Run until a contactor closes; return after how long."""
        return self.goes(on=True, within_s=within_s)

    def opens(self, within_s: float) -> float:
        """Run until a contactor opens; return after how long."""
        return self.goes(on=False, within_s=within_s)

    def stays(self, *, on: bool, for_s: float) -> None:
        """Run, and raise AssertionError if it is not on, or not off, all the time."""
        begun_s = self._bench.now_s
        if self.on is not on:
            raise AssertionError(f"GPIO{self.pin} is not {self._word(on=on)}. {self.history()}")
        self._bench.run(for_s)
        if self.on is not on or any(
            change.at_s > begun_s for change in self._bench.pi.changes(self.pin, begun_s)
        ):
            raise AssertionError(
                f"GPIO{self.pin} did not stay {self._word(on=on)} for {for_s:g} s. {self.history()}"
            )

    def history(self) -> str:
        """Return what the pin did lately."""
        now_s = self._bench.now_s
        changes = self._bench.pi.changes(self.pin)[-6:]
        said = [f"{change.at_s - now_s:+.3f} s {'high' if change.high else 'low'}" for change in changes]
        return f"Its last changes: {', '.join(said) or 'none'}."

    def _word(self, *, on: bool) -> str:
        return "on" if on else "off"
