"""A device file: what is read, and what its errors say."""

from pathlib import Path

import pytest

from gridfleet.devices.config.device_file import DeviceFile, DeviceFileError, load, parse

EXAMPLES = Path(__file__).parents[2] / "examples" / "devices"

TURBINE = """\
id = "turbine-01"
kind = "turbine"
cell = "north"
place = [53.6, 10.0]
backend = "gpio"

[broker]
url = "mqtts://broker.example"
credentials = "secrets"

[adc]

[anemometer]
pin = 17

[vane]
channel = 0

[brake]
pin = 27
"""
CHARGER = """\
id = "charger-01"
kind = "charger"
backend = "mock"

[broker]
url = "mqtt://localhost"

[adc]

[plug]
pin = 5

[contactor]
pin = 17
feedback = 22

[stop]
pin = 6

[current]
channel = 0

[voltage]
channel = 1
"""


def wrong(text: str) -> str:
    with pytest.raises(DeviceFileError) as raised:
        parse(text, "d.toml")
    return str(raised.value)


def test_a_turbine_and_where_its_secrets_lie() -> None:
    device = parse(TURBINE, "d.toml", "/etc/gridfleet")
    assert (device.id, device.kind, device.cell, device.site) == ("turbine-01", "turbine", "north", "germany")
    assert device.credentials == Path("/etc/gridfleet/secrets")
    assert device.measured
    assert dict(device.pins()) == {("anemometer", "pin"): 17, ("brake", "pin"): 27}
    assert device.anemometer is not None
    assert device.anemometer.m_per_s_per_hz == 0.667


def test_mocked_and_synthetic_figures_are_never_measured() -> None:
    assert not parse(CHARGER, "d.toml").measured
    synthetic: DeviceFile = parse(TURBINE.replace('"gpio"', '"synthetic"'), "d.toml")
    assert not synthetic.measured
    assert not synthetic.on_pins


def test_the_cell_is_the_site_where_a_site_has_one_only() -> None:
    assert parse(CHARGER, "d.toml").cell == "germany"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("pin = 6", "pin = 17", "d.toml, line 18: stop.pin = 17: GPIO17 is already used by contactor.pin"),
        (
            "feedback = 22",
            "feedback = 17",
            "line 15: contactor.feedback = 17: GPIO17 is already used by contactor.pin",
        ),
        ("pin = 5", "pin = 8", "line 11: plug.pin = 8: GPIO8 is CE0 of the SPI bus that [adc] uses"),
        ("pin = 5", "pin = 1", "line 11: plug.pin = 1: GPIO1 belongs to the HAT's memory"),
        ("pin = 5", "pin = 40", "line 11: plug.pin = 40: there are GPIO2 to GPIO27 (BCM numbers"),
        ("pin = 5", "pin = true", "line 11: plug.pin = true: must be a whole number"),
        (
            "channel = 1",
            "channel = 0",
            "line 24: voltage.channel = 0: channel 0 is already used by current.channel",
        ),
        ("[adc]\n", "", "adc: missing; a charger on pins needs the table [adc]"),
        ("channel = 0", "chanel = 0", "line 21: current.chanel: unknown key; did you mean 'channel'?"),
        ('id = "charger-01"\n', "", "d.toml: id: missing; add this key"),
        ('"mock"', '"moc"', "line 3: backend = 'moc': must be 'gpio', 'mock' or 'synthetic'"),
        ('"mock"\n', '"gpio"\n[mock]\n', "line 4: mock: is for mocked sensors"),
        ("mqtt://localhost", "http://x", "line 6: broker.url: "),
        (
            "channel = 0",
            "channel = 0\nzero_v = 5.0",
            "line 22: current.zero_v = 5: behind the divider of 0.66",
        ),
        ("channel = 0", 'channel = 0\nsensor = "acs712-05"', "the converter measures at most 9.6 A RMS"),
        ("channel = 0", 'channel = 0\nsensor = "ct"', "volts_per_a: missing; a current transformer's"),
        (
            "[stop]",
            "[brake]\npin=4\n[stop]",
            "line 17: brake: a charger has no such part; remove it (it may have plug, ",
        ),
        ('kind = "charger"', 'kind = "household"', "backend = 'mock': a consumer has no sensors"),
        ("pin = 5", "pin = ", "is not TOML: invalid value in column 7"),
    ],
)
def test_a_mistake_is_reported_with_line_key_and_remedy(old: str, new: str, expected: str) -> None:
    assert old in CHARGER
    assert expected in wrong(CHARGER.replace(old, new, 1))


def test_a_bounce_time_that_would_swallow_the_wind() -> None:
    error = wrong(TURBINE.replace("pin = 17", "pin = 17\nbounce_ms = 20"))
    assert "anemometer: bounce_ms = 20: at 75 m/s pulses follow each other every 8.89 ms" in error


def test_a_brake_that_would_flutter() -> None:
    error = wrong(TURBINE.replace("pin = 27", "pin = 27\nrelease_below_m_per_s = 30"))
    assert "must be less than above_m_per_s (25)" in error


def test_an_unknown_model_of_vehicle() -> None:
    text = 'id = "v"\nkind = "vehicle"\nbackend = "synthetic"\n[broker]\nurl = "mqtt://x"\n[vehicle]\nmodel = "{}"\n'
    assert (
        "line 7: vehicle.model = 'Lucid Air Tour': unknown model; did you mean 'Lucid Air Touring'?"
        in wrong(text.format("Lucid Air Tour"))
    )
    assert (
        parse(text.format("Lucid Air Touring"), "d.toml").settings.model_dump()["model"]
        == "Lucid Air Touring"
    )
    assert "unknown model; known are" in wrong(text.format("x"))


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (
            "[turbine]\ntemperature_c = 8",
            "temperature_c: has moved; write it as temperature_c in the table [anemo",
        ),
        (
            "[market]\nvehicle_limit_eur_per_kwh = 1",
            "has moved; write it as price_limit_eur_per_kwh in the table [",
        ),
    ],
)
def test_a_key_that_has_moved_names_its_new_place(table: str, line: str) -> None:
    assert line in wrong(TURBINE + table + "\n")


def test_all_mistakes_are_reported_at_once() -> None:
    both = CHARGER.replace("pin = 6", "pin = 9").replace("pin = 5", "pin = 10")
    assert len(wrong(both).splitlines()) == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceFileError, match=r"none\.toml: cannot be read: no such file"):
        load(tmp_path / "none.toml")


def test_a_file_is_read_from_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "turbine.toml"
    path.write_text(TURBINE)
    assert load(path).credentials == tmp_path / "secrets"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_right(path: Path) -> None:
    assert load(path).id
