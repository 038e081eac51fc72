"""A cup anemometer: pulses are noted in gpiozero's thread; the control loop computes mean and gust.

Mean wind is pulses over the time they took, from the last pulse before the span to the last one in it, so that a
steady wind is measured exactly, however few pulses there are. The gust is the highest mean over
three whole seconds within the span, after [1].

[1] WMO-No. 8, Guide to Instruments and Methods of Observation, vol. I, chapter 5.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from gridfleet.devices.config.sensor_tables import AnemometerTable
from gridfleet.devices.edge.hardware.faults import SensorFault

GUST_S: Final = 3
"""Span of a gust [1]."""
MIN_BOUNCES: Final = 10
BOUNCING_SHARE: Final = 0.1
"""With more bounces than this per pulse the contact is faulty."""
MAX_PENDING_PULSES: Final = 100_000
"""The most pulses that wait for the control loop, which steps twenty times a second."""


@dataclass(frozen=True, slots=True)
class WindMeasurement:
    """Mean over the table's span, gust within it and the mean of the last 3 s, in m/s."""

    mean_m_per_s: float
    gust_m_per_s: float
    now_m_per_s: float
    pulses: int
    """Since the start."""


@dataclass(slots=True)
class _Second:
    number: int
    pulses: int = 0
    bounces: int = 0
    last_s: float = 0.0


class Anemometer:
    """Takes edges in any thread; only the control loop may call `read`."""

    def __init__(self, table: AnemometerTable, now_s: float) -> None:
        self._table = table
        self._new: deque[float] = deque(maxlen=MAX_PENDING_PULSES)
        self._seconds: deque[_Second] = deque()
        self._begun_s = now_s
        self._before_s: float | None = None
        """The last pulse before the span."""
        self._last_s: float | None = None
        self._closed_since_s: float | None = None
        self.pulses = 0
        self.bounces = 0

    def edge(self, at_s: float, high: bool) -> None:  # noqa: FBT001 - an Edge
        """Note that the contact has closed, at that time in seconds."""
        if high != self._table.pull_up:
            self._new.append(at_s)

    def read(self, now_s: float, *, high: bool) -> tuple[WindMeasurement, SensorFault | None]:
        """Return the wind and the sensor's fault, if any; `high` is the pin's present level."""
        self._count()
        self._forget(now_s)
        closed = high != self._table.pull_up
        if not closed or (self._closed_since_s is not None and (self._last_s or 0.0) > self._closed_since_s):
            self._closed_since_s = now_s if closed else None
        elif self._closed_since_s is None:
            self._closed_since_s = now_s
        wind = WindMeasurement(
            self._speed(self._mean_hz(now_s)),
            self._gust(now_s),
            self._speed(self._recent_hz(now_s)),
            self.pulses,
        )
        return wind, self._fault(now_s, wind)

    def _count(self) -> None:
        bounce_s = self._table.bounce_ms / 1000
        new, seconds = self._new, self._seconds
        while new:
            at_s = new.popleft()
            number = int(at_s)
            if not seconds or seconds[-1].number < number:
                seconds.append(_Second(number))
            second = seconds[-1]
            if self._last_s is not None and at_s - self._last_s < bounce_s:
                self.bounces += 1
                second.bounces += 1
                continue
            self.pulses += 1
            second.pulses += 1
            second.last_s = self._last_s = at_s

    def _forget(self, now_s: float) -> None:
        """Drop what lies before the span, except the time of its last pulse."""
        oldest = int(now_s - self._table.mean_s)
        while self._seconds and self._seconds[0].number < oldest:
            second = self._seconds.popleft()
            if second.pulses:
                self._before_s = second.last_s

    def _mean_hz(self, now_s: float) -> float:
        pulses = sum(second.pulses for second in self._seconds)
        if not pulses or self._last_s is None:
            return 0.0
        span_s = self._table.mean_s
        since_s = max(self._before_s if self._before_s is not None else self._begun_s, now_s - 2 * span_s)
        took_s = self._last_s - since_s
        if took_s > 0 and now_s - self._last_s <= 2 * took_s / pulses:
            return pulses / took_s
        return pulses / max(now_s - since_s, 1.0)

    def _recent_hz(self, now_s: float) -> float:
        """Return the pulses of the last full seconds and the one under way, per second."""
        first = int(now_s) - GUST_S
        recent = sum(second.pulses for second in self._seconds if second.number >= first)
        return recent / (GUST_S + max(now_s - int(now_s), 0.0))

    def _gust(self, now_s: float) -> float:
        counts = {second.number: second.pulses for second in self._seconds}
        highest = 0
        for number in counts:
            if number + GUST_S <= now_s:
                highest = max(highest, sum(counts.get(number + later, 0) for later in range(GUST_S)))
        return max(self._speed(highest / GUST_S), self._speed(self._recent_hz(now_s)))

    def _speed(self, hertz: float) -> float:
        """Return the wind speed at a pulse frequency: the offset is where the cups begin to turn."""
        return hertz * self._table.m_per_s_per_hz + self._table.offset_m_per_s if hertz else 0.0

    def _fault(self, now_s: float, wind: WindMeasurement) -> SensorFault | None:
        table = self._table
        if wind.now_m_per_s > table.max_m_per_s:
            return SensorFault.OUT_OF_RANGE
        bounces = sum(second.bounces for second in self._seconds)
        pulses = sum(second.pulses for second in self._seconds)
        if bounces >= MIN_BOUNCES and bounces > BOUNCING_SHARE * pulses:
            return SensorFault.BOUNCE
        if self._closed_since_s is not None and now_s - self._closed_since_s > table.stuck_after_s:
            return SensorFault.STUCK
        if now_s - (self._last_s if self._last_s is not None else self._begun_s) > table.missing_after_s:
            return SensorFault.MISSING
        return None
