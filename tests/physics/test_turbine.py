"""The turbine against windpowerlib and published figures."""

from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from windpowerlib import WindTurbine
from windpowerlib.density import ideal_gas
from windpowerlib.power_output import power_coefficient_curve

from gridfleet.devices.physics.air import density_kg_per_m3, pressure_at_height_pa, speed_at_height_mps
from gridfleet.devices.physics.turbine import (
    ENERCON_E101_DIAMETER_M,
    REFERENCE_DENSITY_KG_PER_M3,
    cp_curve,
    power_coefficient,
    power_w,
    swept_area_m2,
)

# windpowerlib still uses what pandas 3.1 deprecates; its results are the same.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")

BETZ_LIMIT = 16 / 27
# Enercon product brochure, April 2017, E-101/3050: power in kW at whole m/s, density 1.225 kg/m³.
BROCHURE_KW = {
    3: 37,
    4: 118,
    5: 258,
    6: 479,
    7: 790,
    8: 1200,
    9: 1710,
    10: 2340,
    11: 2867,
    12: 3034,
    13: 3050,
}


def windpowerlib_power_w(speeds_mps: list[float], density: float, diameter_m: float) -> list[float]:
    turbine = WindTurbine(hub_height=135, turbine_type="E-101/3050")
    curve = turbine.power_coefficient_curve
    powers = power_coefficient_curve(
        np.array(speeds_mps),
        curve["wind_speed"].to_numpy(),
        curve["value"].to_numpy(),
        diameter_m,
        np.array([density] * len(speeds_mps)),
    )
    return [float(power) for power in powers]


@pytest.mark.parametrize("density", [1.05, REFERENCE_DENSITY_KG_PER_M3, 1.35])
@pytest.mark.parametrize("diameter_m", [50.0, ENERCON_E101_DIAMETER_M, 150.0])
def test_windpowerlib_gives_the_same_power_from_1_to_25_mps(density: float, diameter_m: float) -> None:
    speeds_mps = [1 + step / 20 for step in range(481)]
    ours = [power_w(speed, diameter_m, density) for speed in speeds_mps]
    assert ours == pytest.approx(windpowerlib_power_w(speeds_mps, density, diameter_m), rel=0.01, abs=1)


def test_the_shipped_curve_is_windpowerlibs() -> None:
    curve = WindTurbine(hub_height=135, turbine_type="E-101/3050").power_coefficient_curve
    assert cp_curve() == (tuple(curve["wind_speed"]), tuple(curve["value"]))


@pytest.mark.parametrize(("speed_mps", "power_kw"), BROCHURE_KW.items())
def test_the_brochure_gives_the_same_power(speed_mps: int, power_kw: int) -> None:
    power = power_w(speed_mps, ENERCON_E101_DIAMETER_M, REFERENCE_DENSITY_KG_PER_M3)
    assert power / 1000 == pytest.approx(power_kw, rel=0.01)


def test_windpowerlibs_power_curve_of_this_type_breaks_betz_law_and_ours_does_not() -> None:
    curve = WindTurbine(hub_height=135, turbine_type="E-101/3050").power_curve
    at_8_mps = float(curve.loc[curve["wind_speed"] == 8, "value"].iloc[0])
    assert at_8_mps / (0.5 * 1.225 * pi / 4 * 101**2 * 8**3) > BETZ_LIMIT
    assert max(cp_curve()[1]) < BETZ_LIMIT


@pytest.mark.parametrize("speed_mps", [-1.0, 0.0, 0.5, 0.999, 25.001, 40.0])
def test_no_power_below_cut_in_and_above_cut_out(speed_mps: float) -> None:
    assert power_w(speed_mps, 150, 1.3) == 0


def test_the_curves_own_points_are_met() -> None:
    assert [power_coefficient(speed) for speed in (2.0, 9.0, 10.0, 25.0)] == [0.076, 0.478, 0.477, 0.04]


def test_area_is_published_rotor_area() -> None:
    assert swept_area_m2(101) == pytest.approx(8011, abs=1)  # wind-turbine-models.com: 8 011 m²


@given(st.floats(0, 30), st.floats(50, 150), st.floats(1.0, 1.4))
def test_power_grows_with_the_area(speed_mps: float, diameter_m: float, density: float) -> None:
    power = power_w(speed_mps, diameter_m, density)
    assert power_w(speed_mps, 2 * diameter_m, density) == pytest.approx(4 * power, abs=3)


def test_density_is_the_standard_atmospheres() -> None:
    assert density_kg_per_m3(15.0) == pytest.approx(1.225, rel=1e-3)  # ICAO Doc 7488/3 at sea level
    assert density_kg_per_m3(-10.0) == pytest.approx(1.341, rel=1e-3)  # 1.3413 at -10 °C


@given(st.floats(-30, 45), st.floats(80_000, 108_000))
def test_density_is_windpowerlibs(temperature_c: float, pressure_pa: float) -> None:
    reference = ideal_gas(pressure_pa, 0, 0, temperature_c + 273.15)
    assert density_kg_per_m3(temperature_c, pressure_pa) == pytest.approx(reference, rel=1e-3)


@pytest.mark.parametrize(
    ("height_m", "pressure_pa"), [(0, 101_325), (500, 95_461), (1000, 89_875), (2000, 79_495)]
)
def test_pressure_is_the_standard_atmospheres(height_m: int, pressure_pa: int) -> None:
    assert pressure_at_height_pa(height_m) == pytest.approx(pressure_pa, rel=0.01)  # ICAO Doc 7488/3


def test_wind_grows_with_height_by_the_power_law() -> None:
    # 1/7 power law: at 80 m the wind is 1.346 times that at 10 m (Hau 2008, power law).
    assert speed_at_height_mps(5.0, 10.0, 80.0) == pytest.approx(5.0 * 1.346, rel=1e-3)
    assert speed_at_height_mps(5.0, 10.0, 10.0) == 5.0


def test_between_two_speeds_of_the_curve_the_coefficient_is_interpolated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    curve = ((2.0, 4.0, 8.0), (0.1, 0.3, 0.5))  # steps of 2 and 4 m/s
    monkeypatch.setattr("gridfleet.devices.physics.turbine.cp_curve", lambda: curve)
    found = [power_coefficient(speed) for speed in (1.9, 2.0, 2.5, 4.0, 5.0, 8.0, 8.1)]
    assert found == pytest.approx([0.0, 0.1, 0.15, 0.3, 0.35, 0.5, 0.0])
