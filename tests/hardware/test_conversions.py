"""Conversions agree with hand calculations to 0.1 %: frequency to wind, codes to amperes, volts and degrees."""

from math import cos, pi, sin, sqrt

import pytest

from gridfleet.devices.config.sensor_tables import (
    AdcTable,
    AnemometerTable,
    CurrentTable,
    VaneTable,
    VoltageTable,
)
from gridfleet.devices.edge.hardware import mains, vane
from gridfleet.devices.edge.hardware.anemometer import Anemometer
from gridfleet.devices.edge.hardware.faults import SensorFault
from gridfleet.devices.edge.hil.mock_pi import MockPi

WITHIN = 1e-3
CUPS = AnemometerTable(pin=4)
EVEN = [1 / mains.PAIRS] * mains.PAIRS


def turned(hertz: float, seconds: float, table: AnemometerTable = CUPS) -> tuple[Anemometer, float]:
    meter = Anemometer(table, 0.0)
    pulses = int(seconds * hertz)
    for number in range(1, pulses + 1):
        meter.edge(number / hertz, high=not table.pull_up)
        meter.edge(number / hertz + 0.2 / hertz, high=table.pull_up)
    return meter, pulses / hertz


@pytest.mark.parametrize(
    ("hertz", "m_per_s"),
    [(1.0, 0.667), (3.0, 2.001), (7.3, 4.8691), (12.0, 8.004), (37.481, 24.999827), (100.0, 66.7)],
)
def test_wind_by_pulses_per_second(hertz: float, m_per_s: float) -> None:
    meter, now_s = turned(hertz, 120.0)
    wind, fault = meter.read(now_s + 0.01, high=True)
    assert wind.mean_m_per_s == pytest.approx(m_per_s, rel=WITHIN)
    assert fault is None


def test_the_wind_at_which_the_cups_begin_to_turn_is_added() -> None:
    table = AnemometerTable(pin=4, m_per_s_per_hz=1.2, offset_m_per_s=0.4)
    meter, now_s = turned(5.0, 120.0, table)
    assert meter.read(now_s + 0.01, high=True)[0].mean_m_per_s == pytest.approx(6.4, rel=WITHIN)


def test_the_mean_falls_in_a_calm() -> None:
    meter, now_s = turned(10.0, 120.0)
    assert meter.read(now_s + 30.0, high=True)[0].mean_m_per_s == pytest.approx(10 * 0.667 / 2, rel=0.05)
    assert meter.read(now_s + 70.0, high=True)[0].mean_m_per_s == 0.0


def test_a_gust_is_the_highest_mean_of_three_seconds() -> None:
    meter = Anemometer(CUPS, 0.0)
    for tenth in range(600):
        at_s = tenth / 10
        meter.edge(at_s + 0.001, high=False)
        if 30 <= at_s < 33:  # 20 Hz for three seconds, else 10 Hz
            meter.edge(at_s + 0.05, high=False)
    wind, _ = meter.read(60.0, high=True)
    assert wind.gust_m_per_s == pytest.approx(20 * 0.667, rel=WITHIN)


def test_ten_thousand_pulses_at_100_hz_are_all_counted() -> None:
    pi_under_test = MockPi()
    board = pi_under_test.board()
    meter = Anemometer(CUPS, board.now_s())
    board.input(4, pull_up=True, on_edge=meter.edge)
    pi_under_test.drive(4, high=True)
    for number in range(10_000):
        pi_under_test.drive(4, high=False)
        pi_under_test.pass_time(0.002)
        pi_under_test.drive(4, high=True)
        pi_under_test.pass_time(0.008)
        if number % 5 == 0:  # the control loop steps twenty times a second
            wind, fault = meter.read(board.now_s(), high=True)
            assert fault is None
    wind, _ = meter.read(board.now_s(), high=True)
    assert wind.pulses == 10_000
    assert meter.bounces == 0
    assert wind.mean_m_per_s == pytest.approx(66.7, rel=WITHIN)


def codes_of(peak_v: float, zero_v: float, phase: float = 0.0) -> list[float]:
    """Codes of one cycle before they are rounded."""
    angles = [2 * pi * number / mains.PAIRS + phase for number in range(mains.PAIRS)]
    return [(zero_v + peak_v * sin(angle)) / 3.3 * 1024 for angle in angles]


@pytest.mark.parametrize(
    ("table", "volts_at_adc_per_a"),
    [
        (CurrentTable(channel=0), 0.066 * 0.66),
        (CurrentTable(channel=0, sensor="acs712-20"), 0.100 * 0.66),
        (CurrentTable(channel=0, sensor="ct", volts_per_a=1 / 30, zero_v=1.65, divider=1.0), 1 / 30),
    ],
)
def test_current_by_its_sensor(table: CurrentTable, volts_at_adc_per_a: float) -> None:
    zero = mains.calibrated_zero_code(table, 3.3)
    assert zero == pytest.approx(512.0, rel=WITHIN)  # 1.65 V of 3.3
    codes = codes_of(10.0 * sqrt(2) * volts_at_adc_per_a, 1.65)
    found = mains.cycle(codes, EVEN, table, 3.3, zero, alternating=True)
    assert found.rms == pytest.approx(10.0, rel=WITHIN)
    assert found.fault is None


def test_voltage_and_power_by_phase() -> None:
    current, voltage = CurrentTable(channel=0), VoltageTable(channel=1)
    amperes = mains.cycle(
        codes_of(8.0 * sqrt(2) * 0.066 * 0.66, 1.65, -pi / 3),
        EVEN,
        current,
        3.3,
        512.0,
        alternating=True,
    )
    volts = mains.cycle(codes_of(230.0 * sqrt(2) * 0.0036, 1.65), EVEN, voltage, 3.3, 512.0, alternating=True)
    assert volts.rms == pytest.approx(230.0, rel=WITHIN)
    power_w = mains.mean_power_w(volts.values, amperes.values, EVEN)
    assert power_w == pytest.approx(230 * 8 * cos(pi / 3), rel=WITHIN)  # 920 W


def test_root_mean_square_of_a_square_wave_and_of_harmonics() -> None:
    assert mains.root_mean_square([3.0, -3.0] * 10, EVEN) == pytest.approx(3.0)
    angles = [2 * pi * number / 20 for number in range(20)]
    both = [5 * sqrt(2) * sin(angle) + 2 * sqrt(2) * sin(3 * angle) for angle in angles]
    assert mains.root_mean_square(both, EVEN) == pytest.approx(sqrt(29.0), rel=WITHIN)


@pytest.mark.parametrize(("volts", "degrees"), [(0.1, 0.0), (1.65, 180.0), (0.875, 90.0), (2.425, 270.0)])
def test_direction_by_voltage(volts: float, degrees: float) -> None:
    table = VaneTable(channel=2)
    assert vane.direction_deg(volts, table) == pytest.approx(degrees, abs=0.36)
    code = round(volts * 1024 / 3.3)
    found, fault = vane.read([code] * 5, table, AdcTable())
    assert found % 360 == pytest.approx(degrees, abs=0.5)
    assert fault is None


def test_one_outlier_does_not_change_the_direction() -> None:
    found, fault = vane.read([512, 512, 1023, 512, 0], VaneTable(channel=2), AdcTable())
    assert found == pytest.approx(180.0, abs=0.5)
    assert fault is None


def test_faults_of_a_cycle() -> None:
    table = CurrentTable(channel=0)

    def fault(codes: list[int], *, alternating: bool = False) -> SensorFault | None:
        return mains.cycle(codes, EVEN, table, 3.3, 512.0, alternating=alternating).fault

    assert fault([512] * 20) is None
    assert fault([512] * 20, alternating=True) is SensorFault.STUCK
    assert fault([0] * 20) is SensorFault.DISCONNECTED
    assert fault([1023] * 20) is SensorFault.DISCONNECTED
    assert fault([700] * 20) is SensorFault.STUCK
    assert fault([700, 710] * 10) is SensorFault.OFFSET
    assert fault([0, 1023] * 10) is SensorFault.OUT_OF_RANGE


def test_even_samples_have_equal_weights() -> None:
    assert mains.weights([number / 1000 for number in range(20)], 0.02) == pytest.approx(EVEN)


def test_uneven_samples_are_weighted_by_the_time_around_them() -> None:
    times_s = [number / 1000 + (0.0008 if number % 7 == 3 else 0.0) for number in range(20)]
    shares = mains.weights(times_s, 0.02)
    assert shares is not None
    assert sum(shares) == pytest.approx(1.0)
    values = [10 * sqrt(2) * sin(2 * pi * 50 * at_s) for at_s in times_s]
    assert mains.root_mean_square(values, shares) == pytest.approx(10.0, rel=0.01)
    assert mains.mean(values, shares) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("late_s", [0.0035, 0.02, 0.5])
def test_a_cycle_with_a_gap_is_discarded(late_s: float) -> None:
    times_s = [number / 1000 + (late_s if number > 9 else 0.0) for number in range(20)]
    assert mains.weights(times_s, 0.02) is None
