"""`gridfleet device flash` to a folder, to images and from a fleet file; whatever could do harm is refused."""

import stat
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gridfleet.broker.credentials import SecretsFolder
from gridfleet.devices.config.device_file import parse
from gridfleet.devices.kinds.registry import AGENT_TYPES
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.flash.card import set_credentials
from gridfleet.provisioning.flash.fleet_file import FleetFileError, read_fleet
from gridfleet.provisioning.site.user_registry import read_registry
from gridfleet.provisioning.upgrade.bundle import Bundle
from tests.flash.conftest import DEVICE, digest, mtool

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 me@laptop\n"
PASSPHRASE = "correct horse battery"


@pytest.fixture
def bench(
    tmp_path: Path, secrets: Path, device_file: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A user's folder: secrets, device file, SSH key, Wi-Fi passphrase, mounted boot partition."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me.pub").write_text(KEY)
    (tmp_path / "wifi.txt").write_text(f"{PASSPHRASE}\n")
    boot = tmp_path / "bootfs"
    boot.mkdir()
    (boot / "config.txt").write_text("# for all models\n[cm5]\ndtoverlay=dwc2\n")
    (boot / "cmdline.txt").write_text("console=tty1 ds=nocloud;i=old rootwait\n")
    return tmp_path


def flash(*arguments: str) -> int:
    return main(["device", "flash", *arguments, "--bundle", "bundle"])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert flash(*arguments) == ExitCode.USAGE
    return capsys.readouterr().err


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): digest(path) for path in folder.rglob("*") if path.is_file()}


def test_a_boot_partition_gets_all_that_the_first_boot_needs(bench: Path, bundle: Bundle) -> None:
    assert flash("charger-01", "--boot", "bootfs", "--ssh-key", "me.pub", "--yes") == ExitCode.SUCCESS
    boot = bench / "bootfs"
    assert set(contents(boot)) == {
        *("config.txt", "cmdline.txt", "user-data", "meta-data", "network-config"),
        *("gridfleet/device.toml", "gridfleet/secrets/ca.crt"),
        *(f"gridfleet/secrets/clients/charger-01.{end}" for end in ("password", "crt", "key")),
        *("gridfleet/bundle/bundle.json", "gridfleet/bundle/requirements.txt"),
        *(f"gridfleet/bundle/{wheel}" for wheel in bundle.wheels),
    }
    Bundle.load(boot / "gridfleet" / "bundle").verify()
    folder = SecretsFolder(bench / "secrets")
    own = SecretsFolder(boot / "gridfleet" / "secrets")
    assert digest(own.authority) == digest(folder.authority)
    for there, here in (
        (own.key_of("charger-01"), folder.key_of("charger-01")),
        (own.password_of("charger-01"), folder.password_of("charger-01")),
    ):
        assert digest(there) == digest(here)
    identity = yaml.safe_load((boot / "meta-data").read_text())["instance-id"]
    assert (boot / "cmdline.txt").read_text() == f"console=tty1 rootwait ds=nocloud;i={identity}\n"
    command = yaml.safe_load((boot / "user-data").read_text())["runcmd"][-1]
    wheel = next(name for name in bundle.wheels if name.startswith("gridfleet-"))
    assert command[1] == f"PYTHONPATH=/boot/firmware/gridfleet/bundle/{wheel}"
    assert read_registry(folder).enrolled == ("charger-01",)


def test_flashing_again_repeats_the_first_boot_and_keeps_no_old_files(bench: Path) -> None:
    boot = bench / "bootfs"
    assert flash("charger-01", "--boot", "bootfs", "--yes") == ExitCode.SUCCESS
    first = contents(boot)
    (boot / "gridfleet" / "bundle" / "old-0.1-py3-none-any.whl").touch()
    assert flash("charger-01", "--boot", "bootfs", "--yes") == ExitCode.SUCCESS
    second = contents(boot)
    assert set(first) == set(second)
    for name in ("meta-data", "cmdline.txt", "gridfleet/secrets/clients/charger-01.password"):
        assert first[name] != second[name]
    assert (boot / "config.txt").read_text().count("spi") == 0  # it has no converter


def test_spi_is_enabled_once_for_a_converter(bench: Path, cell: str) -> None:
    path = bench / "charger-01.toml"
    path.write_text(f"{DEVICE.format(cell=cell)}\n[adc]\ndevice = 0\n")
    for _ in range(2):
        assert flash("charger-01", "--boot", "bootfs", "--yes") == ExitCode.SUCCESS
    config = (bench / "bootfs" / "config.txt").read_text()
    assert config == "# for all models\n[cm5]\ndtoverlay=dwc2\n\n[all]\ndtparam=spi=on\n"


def test_rpi_preseed_is_one_file(bench: Path) -> None:
    assert flash("charger-01", "--boot", "bootfs", "--seed", "rpi-preseed", "--yes") == ExitCode.SUCCESS
    boot = bench / "bootfs"
    document = tomllib.loads((boot / "rpi-preseed.toml").read_text())
    assert document["system"]["hostname"] == "charger-01"
    assert not (boot / "user-data").exists()
    assert (boot / "cmdline.txt").read_text() == "console=tty1 ds=nocloud;i=old rootwait\n"


@pytest.mark.mtools
def test_many_devices_get_an_image_each(bench: Path, cell: str, blank_image: Path) -> None:
    second = DEVICE.format(cell=cell).replace("charger-01", "charger_02")
    (bench / "two.toml").write_text(second)
    (bench / "bench.toml").write_text(
        'time_zone = "Europe/Berlin"\nssh_key = "me.pub"\n\n'
        '[wifi]\nssid = "bench"\npassphrase_file = "wifi.txt"\ncountry = "DE"\n\n'
        '[[device]]\nfile = "charger-01.toml"\n\n[[device]]\nfile = "two.toml"\nhostname = "bench-two"\n'
    )
    before = digest(blank_image)
    assert (
        flash("--fleet", "bench.toml", "--image", str(blank_image), "--out", "cards", "--yes")
        == ExitCode.SUCCESS
    )
    assert digest(blank_image) == before
    for device, hostname in (("charger-01", "charger-01"), ("charger_02", "bench-two")):
        volume = f"{bench / 'cards' / device}.img@@1M"
        data = yaml.safe_load(mtool("mtype", "-i", volume, "::/user-data"))
        assert (data["hostname"], data["timezone"]) == (hostname, "Europe/Berlin")
        device_file = mtool("mtype", "-i", volume, "::/gridfleet/device.toml").decode()
        assert parse(device_file, "device.toml").id == device
        assert mtool("mtype", "-i", volume, f"::/gridfleet/secrets/clients/{device}.key").startswith(b"-----")
    assert read_registry(SecretsFolder(bench / "secrets")).enrolled == ("charger-01", "charger_02")


@pytest.mark.mtools
def test_an_existing_image_is_not_overwritten(
    bench: Path, blank_image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench / "charger-01.img").write_bytes(b"precious")
    output = refused(capsys, "charger-01", "--image", str(blank_image), "--yes")
    assert "charger-01.img: exists already: delete it, or choose another folder with --out" in output
    assert (bench / "charger-01.img").read_bytes() == b"precious"


# --- nothing happens without a question ---


def test_a_dry_run_shows_everything_and_changes_nothing(
    bench: Path, capsys: pytest.CaptureFixture[str], cell: str
) -> None:
    before = contents(bench)
    options = ["--wifi", "bench", "--wifi-file", "wifi.txt", "--country", "de", "--ssh-key", "me.pub"]
    assert flash("charger-01", "--boot", "bootfs", *options, "--dry-run") == ExitCode.SUCCESS
    output = capsys.readouterr().out
    for part in (
        f"charger-01: charger in {cell}, town",
        "1. enrol it in secrets/",
        "2. write to the boot partition at bootfs",
        "for aarch64, Python 3.13, read by cloud-init",
        "broker   mqtts://broker.example:8883",
        "network  wired, Wi-Fi 'bench' (DE)",
        "login    pi, by SSH key",
        "nothing was changed",
    ):
        assert part in output
    assert contents(bench) == before


def test_no_secret_is_shown(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--wifi", "bench", "--wifi-file", "wifi.txt", "--country", "DE"]
    assert flash("charger-01", "--boot", "bootfs", *options, "--yes") == ExitCode.SUCCESS
    output = "".join(capsys.readouterr())
    password = SecretsFolder(bench / "secrets").password_of("charger-01").read_text().strip()
    psk = yaml.safe_load((bench / "bootfs" / "network-config").read_text())["wifis"]["wlan0"]["access-points"]
    for secret in (PASSPHRASE, password, psk["bench"]["password"]):
        assert secret not in output
    assert PASSPHRASE not in (bench / "bootfs" / "network-config").read_text()


def test_without_a_terminal_nothing_is_done(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(bench)
    assert "is needed, because standard input is not a terminal" in refused(
        capsys, "charger-01", "--boot", "bootfs"
    )
    assert contents(bench) == before


@pytest.mark.parametrize(
    ("answer", "code"), [("n", ExitCode.USAGE), ("", ExitCode.USAGE), ("y", ExitCode.SUCCESS)]
)
def test_only_yes_starts_the_work(
    bench: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: ExitCode
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert flash("charger-01", "--boot", "bootfs") == code
    assert (bench / "bootfs" / "user-data").exists() is (code == ExitCode.SUCCESS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs either a device's ID or --fleet FILE"),
        (["charger-01"], "needs a target: --image FILE"),
        (["charger-02", "--boot", "bootfs"], "charger-02.toml: cannot be read"),
        (["charger-02", "--boot", "bootfs", "--device", "charger-01.toml"], "is of 'charger-01', not of"),
        (["charger-01", "--boot", "nowhere"], "is not a folder"),
        (
            ["charger-01", "--boot", "secrets"],
            "boot partition of secrets: has no config.txt: is it Raspberry Pi OS",
        ),
        (["charger-01", "--boot", "bootfs", "--image", "x.img"], "cannot be combined with --image or --card"),
        (["charger-01", "--image", "nowhere.img"], "does not exist: download Raspberry Pi OS"),
        (["charger-01", "--image", "me.zip"], "is packed: unpack it first"),
        (["charger-01", "--card", "me.pub"], "is not a disk: use --image for a file"),
        (["charger-01", "--card", "/dev/null"], "is not a disk"),
        (["charger-01", "--boot", "bootfs", "--wifi", "bench"], "--wifi: needs --wifi-file"),
        (["charger-01", "--boot", "bootfs", "--secrets", "bootfs"], "is not a secrets folder"),
        (["charger-01", "--boot", "bootfs", "--machine", "armv7l"], "is for aarch64, Python 3.13, not for"),
        (["charger-01", "--fleet", "bench.toml", "--boot", "bootfs"], "needs either"),
        (["--fleet", "nowhere.toml", "--boot", "bootfs"], "nowhere.toml: cannot be read"),
    ],
)
def test_a_wrong_command_is_explained_and_changes_nothing(
    bench: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (bench / "me.zip").touch()
    before = contents(bench)
    assert message in refused(capsys, *arguments, "--yes")
    assert contents(bench) == before


# --- files ---


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mqtts://localhost", "is the device itself; use the address that the device reaches it at"),
        ("mqtt://broker.example", "has no TLS; use mqtts://"),
        ("mqtts://me:secret@broker.example", "remove the password"),
    ],
)
def test_a_broker_that_the_device_cannot_use_is_refused(
    bench: Path, capsys: pytest.CaptureFixture[str], url: str, message: str
) -> None:
    path = bench / "charger-01.toml"
    path.write_text(path.read_text().replace("mqtts://broker.example", url))
    err = refused(capsys, "charger-01", "--boot", "bootfs", "--yes")
    assert message in err
    assert "secret@" not in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[device]", "is not TOML"),
        ("secrets = 'x'", "device: missing; add this key"),
        ("device = []", r"device: needs at least one \[\[device\]\] table"),
        (
            "time_zon = 'x'\n[[device]]\nfile='a'",
            "line 1: time_zon: unknown key; did you mean 'time_zone'",
        ),
        (
            "[[device]]\nfile='a'\nhost='b'",
            "line 3: device.0.host: unknown key; did you mean 'hostname'",
        ),
        ("machine='armv6'\n[[device]]\nfile='a'", "line 1: machine = 'armv6': must be 'aarch64'"),
        ("[wifi]\nssid='a'\n[[device]]\nfile='a'", "wifi.passphrase_file: missing"),
        ("[[device]]\nfile='charger-01.toml'\n[[device]]\nfile='charger-01.toml'", "two devices with the id"),
    ],
)
def test_a_mistake_in_a_fleet_file_is_reported_with_its_line(bench: Path, text: str, message: str) -> None:
    (bench / "bench.toml").write_text(text)
    with pytest.raises(FleetFileError, match=message):
        read_fleet(bench / "bench.toml")


def test_credentials_are_set_in_a_device_file() -> None:
    text = '# mine\nid = "x"\n[broker] # the laptop\nurl = "mqtts://b"\ncredentials="../old"\n\n[adc]\ndevice = 0\n'
    changed = set_credentials(text, "secrets", Path("x.toml"))
    assert changed == (
        '# mine\nid = "x"\n[broker] # the laptop\ncredentials = "secrets"\nurl = "mqtts://b"\n\n[adc]\ndevice = 0\n'
    )
    assert set_credentials(changed, "secrets", Path("x.toml")) == changed
    for other in ('broker = {url = "mqtts://b"}\n', 'broker.url = "mqtts://b"\n'):
        with pytest.raises(CommandError, match=r"x\.toml: broker: write it as a separate table, \[broker\]"):
            set_credentials(other, "secrets", Path("x.toml"))


def test_only_the_owner_can_read_the_files(bench: Path) -> None:
    assert flash("charger-01", "--boot", "bootfs", "--yes") == ExitCode.SUCCESS
    for path in (bench / "bootfs" / "gridfleet").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_kind_of_a_package_that_the_bundle_lacks_is_refused_before_anything_changes(
    bench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (bench / "charger-01.toml").read_text()
    head = text.partition("[broker]")[0].replace('kind = "charger"', 'kind = "kettle"')
    broker = "[broker]" + text.partition("[broker]")[2].partition("\n[")[0]
    (bench / "charger-01.toml").write_text(head.replace('"gpio"', '"synthetic"') + broker + "\n")
    before = contents(bench)
    AGENT_TYPES.register(replace(AGENT_TYPES.get("consumer"), name="kettle"))
    try:
        err = refused(capsys, "charger-01", "--boot", "bootfs", "--yes")
    finally:
        AGENT_TYPES.forget("kettle")
    assert (
        "charger-01.toml: kind = 'kettle' comes from a package that is not in the bundle: make a bundle with"
        in err
    )
    assert contents(bench) == before
