"""The shipped rankings of offers, against examples worked out by hand; the order of arrival plays no part."""

from collections import Counter
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.devices.charging.offer_ranking import Candidate, OfferRanking, RankingError, Weights
from gridfleet.devices.charging.ranking_registry import DEFAULT_RANKING, OFFER_RANKINGS
from gridfleet.devices.random_streams import RandomStream

NEAR = Candidate("near", 10.0, 20_000, 500_000, 30_000)
CHEAP = Candidate("cheap", 100.0, 25_000, 100_000, 40_000)
FULL = Candidate("full", 50.0, 35_000, 400_000, 35_000)
FULLER = Candidate("fuller", 60.0, 50_000, 300_000, 36_000)
ALL = [NEAR, CHEAP, FULL, FULLER]
candidates = st.lists(
    st.builds(
        Candidate,
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from([0.0, 5.0, 7.5]),
        st.sampled_from([0, 10, 20]),
        st.sampled_from([0, 1, 2]),
        st.sampled_from([5, 10, 30]),
    ),
    max_size=6,
    unique_by=lambda c: c.charger,
)


SHIPPED = ("weighted", "best", "cheapest", "closest", "random")


def rank(offers: list[Candidate], algorithm: str, weights: Weights, rng: RandomStream) -> list[Candidate]:
    return OFFER_RANKINGS.get(algorithm).ranked(offers, weights, rng)


def names(algorithm: str, offers: list[Candidate], weights: Weights | None = None) -> list[str]:
    return [c.charger for c in rank(offers, algorithm, weights or Weights(), RandomStream(1))]


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        # full: 35 kWh at 0.40 cost 14.00 and fill it; fuller: 50 at 0.30 cost 15.00; the others by price
        ("best", ["full", "fuller", "cheap", "near"]),
        ("cheapest", ["cheap", "fuller", "full", "near"]),
        ("closest", ["near", "full", "fuller", "cheap"]),
        # near .9+0+.4=1.3, cheap 0+.8+.5=1.3, full .5+.2+.7=1.4, fuller .4+.4+1=1.8
        ("weighted", ["fuller", "full", "cheap", "near"]),
    ],
)
def test_ranks_worked_out_by_hand(algorithm: str, expected: list[str]) -> None:
    assert names(algorithm, ALL) == expected


@pytest.mark.parametrize(
    ("weights", "first"),
    [
        (Weights(1, 0, 0), "near"),
        (Weights(0, 1, 0), "cheap"),
        (Weights(0, 0, 1), "fuller"),
        (Weights(10, 1, 1), "near"),
        (Weights(0, 0, 0), "cheap"),
    ],
)
def test_the_weights_decide(weights: Weights, first: str) -> None:
    assert names("weighted", ALL, weights)[0] == first


@given(candidates, st.integers(-3, 3))
def test_only_the_ratio_of_weights_matters(offers: list[Candidate], power: int) -> None:
    scale = 2.0**power
    once = names("weighted", offers, Weights(1.0, 0.5, 0.25))
    assert names("weighted", offers, Weights(scale, 0.5 * scale, 0.25 * scale)) == once


@given(candidates, st.sampled_from(SHIPPED), st.integers(0, 9))
def test_the_order_of_arrival_plays_no_part(offers: list[Candidate], algorithm: str, seed: int) -> None:
    mixed = sorted(offers, key=lambda c: RandomStream(seed, c.charger).random())
    weights = Weights(2, 1, 3)
    once = rank(offers, algorithm, weights, RandomStream(seed))
    assert rank(mixed, algorithm, weights, RandomStream(seed)) == once
    assert sorted(once) == sorted(offers)


@pytest.mark.parametrize("algorithm", [name for name in SHIPPED if name != "random"])
def test_ties_break_on_the_id(algorithm: str) -> None:
    twins = [NEAR._replace(charger=name) for name in "cabd"]
    assert names(algorithm, twins) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("algorithm", SHIPPED)
def test_no_offers_and_offers_of_nothing(algorithm: str) -> None:
    assert names(algorithm, []) == []
    assert names(algorithm, [Candidate("a", 0.0, 0, 0, 0)]) == ["a"]


def test_equal_costs_break_on_the_distance() -> None:
    assert names("best", [FULL, FULL._replace(charger="a", distance_km=51.0)]) == ["full", "a"]
    assert names("cheapest", [CHEAP, CHEAP._replace(charger="a", distance_km=101.0)]) == [
        "cheap",
        "a",
    ]
    assert names("closest", [NEAR, NEAR._replace(charger="a", price_ueur_per_kwh=500_001)]) == [
        "near",
        "a",
    ]


def test_random_is_fair_and_seeded() -> None:
    rng = RandomStream("fair")
    firsts = Counter(rank(ALL, "random", Weights(), rng)[0].charger for _ in range(4_000))
    assert set(firsts) == {c.charger for c in ALL}
    assert all(900 < count < 1_100 for count in firsts.values())
    assert rank(ALL, "random", Weights(), RandomStream(7)) == rank(ALL, "random", Weights(), RandomStream(7))


def test_ranking_does_not_change_the_offers() -> None:
    offers = [*ALL]
    for algorithm in SHIPPED:
        rank(offers, algorithm, Weights(), RandomStream(1))
    assert offers == ALL


def test_the_shipped_rankings_and_the_default() -> None:
    assert tuple(OFFER_RANKINGS.names()) == SHIPPED
    assert DEFAULT_RANKING == "weighted"


def test_a_ranking_may_leave_offers_out() -> None:
    near = OfferRanking("near", lambda offers, _weights, _rng: [c for c in offers if c.distance_km < 55])
    assert [c.charger for c in near.ranked(ALL, Weights(), RandomStream(1))] == ["full", "near"]


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([NEAR, NEAR], "returns an offer twice"),
        ([NEAR._replace(price_ueur_per_kwh=0)], "returns an offer twice, or what is no offer"),
        ([None], "returns an offer twice, or what is no offer"),
        (None, "TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_a_ranking_that_returns_anything_else_is_refused(found: object, problem: str) -> None:
    wrong = OfferRanking("wrong", lambda *_: cast("list[Candidate]", found))
    with pytest.raises(
        RankingError, match=f"offer ranking 'wrong': .*{problem}.*test_offer_ranking.py, line"
    ):
        wrong.ranked(ALL, Weights(), RandomStream(1))


def test_a_ranking_that_raises_is_refused() -> None:
    def divide(offers: Sequence[Candidate], _weights: Weights, _rng: RandomStream) -> list[Candidate]:
        return [offers[1 // 0]]

    with pytest.raises(RankingError, match="'mine': ZeroDivisionError"):
        OfferRanking("mine", divide).ranked(ALL, Weights(), RandomStream(1))
