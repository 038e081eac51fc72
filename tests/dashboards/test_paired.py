"""Paired differences: what they cover, what they say, and that common random numbers narrow them."""

import csv
import math
from pathlib import Path
from statistics import NormalDist, fmean, stdev

import pytest

from gridfleet.dashboards.statistics.paired import Difference, differences, verdict_text
from gridfleet.dashboards.statistics.student import half_width
from gridfleet.devices.random_streams import RandomStream
from tests.provisioning.shell import gridfleet

CASES = 1000
TRUE = 8.0
_NORMAL = NormalDist()


def normal(random: RandomStream, deviation: float) -> float:
    return deviation * _NORMAL.inv_cdf((random.bits() % 2**52 + 0.5) / 2**52)


@pytest.mark.parametrize("seeds", [5, 20])
def test_the_interval_covers_the_true_difference_as_often_as_it_says(seeds: int) -> None:
    random, covered = RandomStream("coverage", seeds), 0
    for _ in range(CASES):
        base = {seed: 100 + normal(random, 30) for seed in range(seeds)}
        other = {seed: value + TRUE + normal(random, 5) for seed, value in base.items()}
        (found,) = differences("x", {"best": base, "random": other})
        covered += found.low <= TRUE <= found.high
    assert 0.93 <= covered / CASES <= 0.97


def test_pairs_are_narrower_than_two_samples() -> None:
    random = RandomStream("paired")
    base = {seed: 100 + normal(random, 30) for seed in range(20)}
    other = {seed: value + TRUE + normal(random, 2) for seed, value in base.items()}
    (found,) = differences("x", {"best": base, "random": other})
    assert found.shown
    assert found.half_width < 0.2 * half_width(stdev(base.values()), 20)
    assert found.mean == pytest.approx(fmean(other.values()) - fmean(base.values()))


def test_only_equal_seeds_with_values_count() -> None:
    sets = {"a": {1: 1.0, 2: math.nan, 3: 5.0}, "b": {1: 2.0, 2: 3.0, 4: 9.0}, "c": {9: 1.0}}
    (found,) = differences("x", sets)
    assert (found.label, found.pairs, found.mean) == ("b", 1, 1.0)
    assert math.isnan(found.half_width)
    assert not found.shown


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            Difference("waiting_min", "best", "random", 5, -3.0, 1.0),
            "random waits 3.0 ± 1.0 min less than best (5 equal seeds)",
        ),
        (
            Difference("x", "best", "random", 5, 3.0, 4.0),
            "random: no difference to best in some figure that 5 equal seeds show",
        ),
        (
            Difference("x", "best", "random", 5, 3.0, 1.0),
            "random: some figure 3.0 ± 1.0 min higher than with best (5 equal seeds)",
        ),
        (
            Difference("x", "best", "random", 1, -3.0, math.nan),
            "random: some figure 3.0 min lower than with best (1 equal seed); one pair shows no interval",
        ),
    ],
)
def test_verdicts_in_words(found: Difference, text: str) -> None:
    assert verdict_text(found, "Some figure", "min", 1) == text


def test_compare_says_what_the_seeds_show(tmp_path: Path) -> None:
    words = (
        "compare",
        "normal",
        "--algorithm",
        "best,random",
        "--seeds",
        "3",
        "--ticks",
        "24",
        "--jobs",
        "1",
    )
    ended = gridfleet(*words, "--out", "out", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "No difference that 3 equal seeds show: take more with --seeds" in ended.out
    with (tmp_path / "out" / "differences.csv").open(newline="") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    with (tmp_path / "out" / "runs.csv").open(newline="") as file:
        runs = list(csv.DictReader(file))
    distance = {(run["algorithm"], run["seed"]): float(run["accepted_distance_km"]) for run in runs}
    seeds = {seed for _, seed in distance}
    mean = fmean(distance["random", seed] - distance["best", seed] for seed in seeds)
    assert float(rows["accepted_distance_km"]["mean"]) == pytest.approx(mean, abs=1e-5)
    assert rows["accepted_distance_km"]["pairs"] == "3"
    assert "equal seeds" in rows["accepted_distance_km"]["verdict"]
    assert "Differences to normal best" in (tmp_path / "out" / "compare.html").read_text()
