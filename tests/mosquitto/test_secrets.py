"""Secrets: complete, readable only by their owner, never printed, and accepted by broker and clients."""

import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.errors import BrokerError
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.site.certificates import CERTIFICATE_DAYS, revoked_in, serial_of
from gridfleet.provisioning.site.secrets import identities, make_secrets, mosquitto_hash
from tests.provisioning.shell import gridfleet

SMALL = (
    "--scenario",
    "normal",
    "--set",
    "vehicles.count=1",
    "chargers.count=1",
    "households.count=1",
    "commerce.count=0",
    "farms.count=0",
)
GIT = shutil.which("git") or ""
USERS = ["clock", "recorder", "operator", "viewer", "fleet-1"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["site", "init", str(tmp_path / "s"), *SMALL]) == ExitCode.SUCCESS
    capsys.readouterr()
    return tmp_path / "s"


def test_all_files_are_made_and_only_their_owner_can_read_them(made: Path) -> None:
    for path in (made, *made.rglob("*")):
        if path.name == ".gitignore":
            assert path.read_text() == "*\n"
        else:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    folder = SecretsFolder(made)
    fleet = Fleet(load("normal", list(SMALL[3:])))
    names = [line.split(":")[0] for line in folder.passwords.read_text().splitlines()]
    assert names == [*USERS, *fleet.ids]
    for name in names:
        assert all(
            path(name).is_file() for path in (folder.password_of, folder.certificate_of, folder.key_of)
        )


def test_git_ignores_the_folder(made: Path) -> None:
    subprocess.run([GIT, "init", "--quiet", made.parent], check=True)
    shown = subprocess.run(
        [GIT, "-C", made.parent, "status", "--porcelain", "-uall"], check=True, capture_output=True
    )
    assert shown.stdout == b""


def test_no_secret_is_printed(tmp_path: Path) -> None:
    ran = gridfleet("site", "rotate", "s", *SMALL, cwd=tmp_path)
    assert (ran.code, ran.err) == (ExitCode.SUCCESS, "")
    assert ran.out.startswith(
        "Secrets   s/: 12 users of germany, 12 with new secrets\nBroker    no broker on this machine"
    )
    credentials = FileCredentials(tmp_path / "s")
    login = credentials.login("clock")
    assert login.password
    assert len(login.password) >= 43
    assert login.password not in f"{login!r} {login} {credentials!r}"


def test_a_second_call_changes_no_secret(made: Path) -> None:
    before = contents(made)
    assert main(["site", "init", str(made), *SMALL]) == ExitCode.SUCCESS
    changed = {name for name, content in contents(made).items() if before.get(name) != content}
    assert changed <= {"ca.crl"}


def test_a_new_device_gets_its_secrets_and_no_others_change(made: Path) -> None:
    before = contents(made)
    more = [word for word in SMALL[3:] if word != "chargers.count=1"] + ["chargers.count=2"]
    assert main(["site", "init", str(made), *SMALL[:3], *more]) == ExitCode.SUCCESS
    after = contents(made)
    new = {name for name in after if before.get(name) != after[name]} - {"ca.crl"}
    assert new == {
        "passwords",
        "acl",
        "users.json",
        "register.json",
        *(f"clients/charger-2.{end}" for end in ("password", "crt", "key")),
    }


def test_rotating_all_replaces_everything(made: Path) -> None:
    before = contents(made)
    assert main(["site", "rotate", str(made), *SMALL]) == ExitCode.SUCCESS
    after = contents(made)
    assert {name for name in after if before[name] == after[name]} == {".gitignore", "acl", "users.json"}


def test_a_removed_user_stays_locked_out_after_all_is_rotated(made: Path) -> None:
    before = contents(made)
    fewer = [word for word in SMALL[3:] if word != "chargers.count=1"] + ["chargers.count=0"]
    assert main(["site", "rotate", str(made), *SMALL[:3], *fewer]) == ExitCode.SUCCESS
    assert not [name for name in contents(made) if name.startswith("clients/charger-1.")]
    assert main(["site", "init", str(made), *SMALL]) == ExitCode.SUCCESS
    after = contents(made)
    assert {name for name in after if before[name] == after[name]} == {".gitignore", "acl", "users.json"}


def test_rotating_one_replaces_only_it_and_revokes_its_certificate(made: Path) -> None:
    before, folder = contents(made), SecretsFolder(made)
    serial = serial_of(folder.certificate_of("charger-1").read_bytes())
    assert main(["site", "rotate", str(made), "--only", "charger-1", *SMALL]) == ExitCode.SUCCESS
    after = contents(made)
    changed = {name for name in after if before[name] != after[name]}
    assert changed == {
        "passwords",
        "ca.crl",
        *(f"clients/charger-1.{end}" for end in ("password", "crt", "key")),
    }
    assert revoked_in(folder.revoked.read_bytes()) == {serial}
    assert main(["site", "rotate", str(made), "--only", "server", *SMALL]) == ExitCode.SUCCESS
    assert {name for name in after if contents(made)[name] != after[name]} <= {
        "server.crt",
        "server.key",
        "ca.crl",
    }
    assert revoked_in(folder.revoked.read_bytes()) == {serial}


def test_certificates_name_their_clients(made: Path) -> None:
    main(["site", "init", str(made), "--host", "broker.example", "192.0.2.1", *SMALL])
    folder = SecretsFolder(made)
    server = x509.load_pem_x509_certificate(folder.certificate.read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"broker.example", "localhost"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"192.0.2.1", "127.0.0.1", "::1"} <= set(map(str, names.get_values_for_type(x509.IPAddress)))
    client = x509.load_pem_x509_certificate(folder.certificate_of("charger-1").read_bytes())
    assert [each.value for each in client.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [
        "charger-1"
    ]
    for certificate, purpose in (
        (server, ExtendedKeyUsageOID.SERVER_AUTH),
        (client, ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [purpose]
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert life.days == CERTIFICATE_DAYS + 1


def test_openssl_finds_the_certificates_valid_by_its_strict_rules(made: Path) -> None:
    folder = SecretsFolder(made)
    for path in (folder.certificate, folder.certificate_of("clock")):
        context = ssl.create_default_context(cafile=folder.authority)
        assert context.get_ca_certs()
        command = [
            shutil.which("openssl") or "",
            "verify",
            "-x509_strict",
            "-CAfile",
            str(folder.authority),
            str(path),
        ]
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_the_password_hash_is_mosquittos_format() -> None:
    """Compared with what `mosquitto_passwd` 2.0.11 wrote for this password and salt."""
    import base64

    salt = base64.b64decode("8DFAv2wM5vn/b/CJ")
    assert mosquitto_hash("secretpw", salt) == (
        "$7$101$8DFAv2wM5vn/b/CJ$07eLxbGhgixkUeASgFWL6glLYtjJZFr3sQcuNLFQRPyIBeAYx6TKHEyS2RjrP7ZcNuXsvaYs"
        "6TdaExc8IlMu6Q=="
    )


def test_a_folder_with_other_files_is_refused_and_unchanged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    assert main(["site", "init", str(tmp_path)]) == ExitCode.USAGE
    assert "name another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["init", "{made}", "--processes", "2"], "--processes: needs --scenario: {made} has users already"),
        (["rotate", "{made}", "--set", "ticks=2"], "--set: needs --scenario: {made} has users already"),
        (["rotate", "nowhere"], "nowhere: is not a secrets folder (it has no users.json): make it with"),
        (
            ["rotate", "{made}", "--only", "nobody"],
            "nobody is not a user of germany; allowed are server and its users, such as vehicle-1",
        ),
    ],
)
def test_wrong_usage_is_refused(
    made: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    before = contents(made)
    assert main(["site", *(word.format(made=made) for word in words)]) == ExitCode.USAGE
    assert expected.format(made=made) in capsys.readouterr().err
    assert contents(made) == before


@pytest.mark.parametrize("command", ["init", "rotate"])
def test_without_a_scenario_the_users_stay_the_same(made: Path, command: str) -> None:
    before = contents(made)
    assert main(["site", command, str(made)]) == ExitCode.SUCCESS
    after = contents(made)
    same = {name for name in after if before[name] == after[name]}
    assert {"acl", "users.json"} <= same
    assert ("passwords" in same) == (command == "init")


def test_credentials_name_the_missing_file(made: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BrokerError, match=r"nobody.password cannot be read \(no such file.*gridfleet site init"
    ):
        FileCredentials(made).login("nobody")
    with pytest.raises(BrokerError, match=r"ca.crt cannot be read"):
        FileCredentials(tmp_path / "nowhere")


def test_every_device_of_a_scenario_is_a_user() -> None:
    fleet = Fleet(load("normal"))
    assert [user.name for user in identities(fleet, processes=1)] == [*USERS, *fleet.ids]
    assert make_secrets.__doc__
