"""Whole-number units agree to the last digit; their decimal texts are exact."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.protocol.units import (
    MS_PER_HOUR,
    MS_PER_S,
    cost_neur,
    decimal_text,
    eur_per_kwh_text,
    eur_text,
    kwh_text,
    ueur,
    wh,
)

energies = st.integers(0, 10**12)
prices = st.integers(0, 10**9)


def test_one_wh_at_one_ueur_per_kwh_costs_one_neur() -> None:
    assert cost_neur(1, 1) == 1
    assert cost_neur(wh(1), ueur(1.0)) == 1_000_000_000


@given(energies, energies, prices)
def test_costs_add_up_exactly(one_wh: int, other_wh: int, price: int) -> None:
    assert cost_neur(one_wh, price) + cost_neur(other_wh, price) == cost_neur(one_wh + other_wh, price)


@given(energies, prices)
def test_the_texts_agree_with_each_other(energy_wh: int, price: int) -> None:
    cost = Decimal(kwh_text(energy_wh)) * Decimal(eur_per_kwh_text(price))
    assert cost == Decimal(eur_text(cost_neur(energy_wh, price)))


@given(st.integers(), st.integers(1, 12))
def test_a_text_is_exact_and_has_its_decimals(value: int, places: int) -> None:
    text = decimal_text(value, places)
    assert Fraction(text) * 10**places == value
    assert len(text.partition(".")[2]) == places


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (kwh_text(0), "0.000"),
        (kwh_text(1), "0.001"),
        (kwh_text(10_000), "10.000"),
        (kwh_text(-1_500), "-1.500"),
        (eur_per_kwh_text(900_000), "0.900000"),
        (eur_text(-1), "-0.000000001"),
        (eur_text(10**21), "1000000000000.000000000"),
    ],
)
def test_decimal_texts(text: str, expected: str) -> None:
    assert text == expected


@given(energies)
def test_kwh_and_back(energy_wh: int) -> None:
    assert wh(energy_wh / 1000) == energy_wh


@given(prices)
def test_eur_and_back(price: int) -> None:
    assert ueur(price / 1_000_000) == price


def test_an_hour_is_3600_seconds() -> None:
    assert MS_PER_HOUR == 3600 * MS_PER_S
