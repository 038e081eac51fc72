"""How much of a run the recorded weather covers: step, share and longest hole of each station, and what was filled."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from gridfleet.broker.protocol.units import MS_PER_HOUR, QUARTER_HOUR_MS, TICK_MS
from gridfleet.broker.simulated_time import minute_text
from gridfleet.devices.weather import WeatherSpanError
from gridfleet.devices.weather.stations import Series, SiteWeather

MOST_SPANS: Final = 10
"""Most gaps of a series that are listed one by one."""
_MS_PER_MINUTE: Final = 60_000


class Span(NamedTuple):
    """Ticks of a run, from one to before another."""

    first: int
    end: int

    @property
    def ticks(self) -> int:
        """How many they are."""
        return self.end - self.first


class SeriesCoverage(NamedTuple):
    """What one station has of one quantity, in a run of `ticks` ticks."""

    station: str
    quantity: str
    step_ms: int
    """The usual time from a value to the next; 0 for fewer than two values."""
    ticks: int
    measured: int
    """Ticks with a value that is not older than an hour."""
    holes: tuple[Span, ...]
    """Ticks without such a value."""
    filled: tuple[Span, ...]
    """The part of the holes that the scenario's rule fills."""

    @property
    def longest(self) -> Span | None:
        """The longest hole, the first of equal ones."""
        return max(self.holes, key=lambda hole: hole.ticks, default=None)


class WeatherGapError(WeatherSpanError):
    """The recorded weather has gaps in which no station has a value."""


def coverage_of(weather: SiteWeather, start_ms: int, ticks: int) -> list[SeriesCoverage]:
    """Return what every station has of wind speed and temperature, for a run from `start_ms` on."""
    return [
        _coverage(site.name, quantity, series, start_ms, ticks)
        for site in weather.sites
        for quantity, series in (("wind speed", site.wind_mps), ("temperature", site.temperature_c))
        if series.times_ms
    ]


def check_coverage(
    weather: SiteWeather, covered: Sequence[SeriesCoverage], start_ms: int, source: str
) -> None:
    """Raise WeatherGapError where in some tick no station has wind, or none has a temperature and none is assumed.

    `source` names the files in the error.
    """
    for quantity in ("wind speed", "temperature"):
        if quantity == "temperature" and weather.assumed_temperature_c is not None:
            continue
        series = [each for each in covered if each.quantity == quantity]
        missing = _spans(_without_value(series)) if series else ()
        if missing:
            longest = max(missing, key=lambda span: span.ticks)
            total, ticks = sum(span.ticks for span in missing), series[0].ticks
            gaps = "1 gap" if len(missing) == 1 else f"{len(missing)} gaps"
            reason = (
                f"{source}: no {quantity} in {total} of {ticks} ticks, in {gaps}; the longest is "
                f"{span_text(longest, start_ms)}. Stations: {'; '.join(_station_text(each) for each in series)}."
                f' Choose another time or file, or have gaps filled: weather.gaps = "interpolate" or "hold", with'
                f" weather.most_gap_h = {_needed_h(weather, quantity, missing, start_ms):g}"
            )
            raise WeatherGapError(start_ms + longest.first * TICK_MS, reason)


def coverage_lines(covered: Iterable[SeriesCoverage], start_ms: int) -> list[str]:
    """Return a line for each station and quantity: step, coverage, longest hole, and what is filled."""
    lines = []
    for each in covered:
        parts = [f"{each.station} {each.quantity}: {_step_text(each.step_ms)}"]
        parts.append(f"{each.measured} of {each.ticks} ticks")
        longest = each.longest
        if longest is not None:
            filled = sum(span.ticks for span in each.filled)
            parts.append(f"longest hole {span_text(longest, start_ms)}")
            parts.append(f"{filled} ticks filled" if filled else "other stations serve")
        lines.append(" · ".join(parts))
    return lines


def filled_texts(
    covered: Iterable[SeriesCoverage], rule: str, start_ms: int
) -> Iterator[tuple[int, str, str]]:
    """Yield first tick, station with quantity, and text of each gap; many gaps of one station become one text."""
    how = {"hold": "the last value holds", "interpolate": "interpolated"}
    for each in covered:
        subject = f"{each.station} {each.quantity}"
        for spans, what in ((each.filled, how.get(rule, "")), (_left(each), "other stations serve")):
            if len(spans) > MOST_SPANS:
                ticks = sum(span.ticks for span in spans)
                text = f"{len(spans)} gaps, {ticks} of {each.ticks} ticks in all: {what}"
                yield spans[0].first, subject, text
                continue
            for span in spans:
                yield span.first, subject, f"{span_text(span, start_ms)}: {what}"


def span_text(span: Span, start_ms: int) -> str:
    """Return a span as text: from, to, and how long."""
    begin, end = minute_text(start_ms + span.first * TICK_MS), minute_text(start_ms + span.end * TICK_MS)
    return f"{begin} to {end} ({duration_text(span.ticks * TICK_MS)})"


def duration_text(duration_ms: int) -> str:
    """Return a duration as text.

    >>> duration_text(6_300_000), duration_text(600_000)
    ('1 h 45 min', '10 min')
    """
    hours, rest = divmod(duration_ms, MS_PER_HOUR)
    parts = [f"{hours} h"] if hours else []
    if rest or not hours:
        parts.append(f"{rest / _MS_PER_MINUTE:g} min")
    return " ".join(parts)


def _coverage(station: str, quantity: str, series: Series, start_ms: int, ticks: int) -> SeriesCoverage:
    measured, held = bytearray(ticks), bytearray(ticks)
    for begin_ms, end_ms, filled in series.spans():
        first, end = (-((start_ms - edge_ms) // QUARTER_HOUR_MS) for edge_ms in (begin_ms, end_ms))
        first, end = max(first, 0), min(end, ticks)
        if end > first:
            held[first:end] = b"\1" * (end - first)
            if not filled:
                measured[first:end] = b"\1" * (end - first)
    times = series.times_ms
    steps = [later - earlier for earlier, later in pairwise(times)]
    return SeriesCoverage(
        station,
        quantity,
        round(median(steps)) if steps else 0,
        ticks,
        sum(measured),
        _spans(not each for each in measured),
        _spans(bool(each) and not known for each, known in zip(held, measured, strict=True)),
    )


def _left(each: SeriesCoverage) -> tuple[Span, ...]:
    """Return the holes of a series that nothing fills."""
    left = _marked(each.holes, each.ticks)
    for span in each.filled:
        left[span.first : span.end] = bytes(span.ticks)
    return _spans(bool(mark) for mark in left)


def _without_value(series: Sequence[SeriesCoverage]) -> Iterator[bool]:
    """Yield for each tick whether no series has a value."""
    return (all(marks) for marks in zip(*(_marked(_left(each), each.ticks) for each in series), strict=True))


def _marked(spans: Iterable[Span], ticks: int) -> bytearray:
    marks = bytearray(ticks)
    for span in spans:
        marks[span.first : span.end] = b"\1" * span.ticks
    return marks


def _spans(marks: Iterable[bool]) -> tuple[Span, ...]:
    """Return the spans of ticks that are marked."""
    spans, first, index = [], -1, -1
    for index, mark in enumerate(marks):
        if mark and first < 0:
            first = index
        elif not mark and first >= 0:
            spans.append(Span(first, index))
            first = -1
    if first >= 0:
        spans.append(Span(first, index + 1))
    return tuple(spans)


def _needed_h(weather: SiteWeather, quantity: str, missing: Sequence[Span], start_ms: int) -> float:
    """Return the gap in hours that has to be filled, from value to value, so that every tick has a value."""
    needed_ms = 0
    for span in missing:
        begin_ms = start_ms + span.first * TICK_MS
        gaps = []
        for site in weather.sites:
            series = site.wind_mps if quantity == "wind speed" else site.temperature_c
            gap_ms = series.gap_at(begin_ms)
            if gap_ms is not None:
                gaps.append(gap_ms)
        needed_ms = max(needed_ms, min(gaps, default=0))
    return -(-needed_ms // QUARTER_HOUR_MS) / (MS_PER_HOUR / QUARTER_HOUR_MS)


def _step_text(step_ms: int) -> str:
    return f"a value every {duration_text(step_ms)}" if step_ms else "1 value"


def _station_text(each: SeriesCoverage) -> str:
    return f"{each.station} ({_step_text(each.step_ms)}, {each.measured} of {each.ticks} ticks)"
