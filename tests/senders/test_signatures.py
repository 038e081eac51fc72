"""A receiver with the site's CA believes only registrations that the CA has signed, for that site and that device."""

from base64 import b64decode, b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis.strategies import binary, integers

from gridfleet.broker.credentials import FileCredentials, SecretsFolder, signatures
from gridfleet.broker.credentials.signatures import SignatureCheck
from gridfleet.broker.errors import BrokerError, GridFleetError, PayloadError
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import WRONG_SIGNATURE, SiteDecoder
from gridfleet.broker.protocol.messages import Limits, Registration
from gridfleet.broker.protocol.topics import CLOCK_ID, topic
from gridfleet.devices.config.scenario import Scenario, parse
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.registrations import registrations_of, signed_registrations
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.site.certificates import Authority
from gridfleet.provisioning.site.register_file import read_register, signed_entries
from gridfleet.provisioning.site.secrets import identities, make_secrets

SITE = "town"
SMALL = [
    f"site={SITE}", "turbines.count=1", "farms.count=0", "vehicles.count=1", "chargers.count=2", "households.count=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    changes = [
        f"site={SITE}",
        "turbines.count=1",
        "vehicles.count=1",
        "chargers.count=2",
        "households.count=1",
    ]
    return parse("", "town.toml", "", [*changes, "farms.count=0"])


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory, scenario: Scenario) -> Path:
    folder = tmp_path_factory.mktemp("site") / "secrets"
    make_secrets(folder, SITE, identities(Fleet(scenario)), registrations=registrations_of(scenario))
    return folder


@pytest.fixture
def entry(secrets: Path) -> Registration:
    return read_register(SecretsFolder(secrets))["charger"]


def refusals(credentials: Credentials, subject: str, entry: Registration, site: str = SITE) -> list[str]:
    """Return why a receiver refuses a registration; none where it believes it."""
    reasons: list[str] = []

    def refused(_topic: str, error: GridFleetError) -> None:
        assert isinstance(error, PayloadError)
        reasons.append(error.reason)

    decoder = SiteDecoder(site, credentials.verify)
    place = topic(site, entry, subject, CLOCK_ID)
    believed = [message for _, message in decoder.decode(place, encode(entry), refused)]
    assert believed == ([] if reasons else [entry])
    return reasons


def test_a_signed_registration_is_believed(secrets: Path, entry: Registration) -> None:
    assert entry.devices == 2
    assert refusals(FileCredentials(secrets), "charger", entry) == []


def test_what_the_site_has_not_signed_is_refused(secrets: Path, entry: Registration) -> None:
    credentials = FileCredentials(secrets)
    wider = replace(entry, limits=replace(entry.limits, sells_wh=10**9))
    other = read_register(SecretsFolder(secrets))["vehicle"]
    forged = {
        "unsigned": ("charger", replace(entry, signature=""), SITE),
        "wider limits": ("charger", wider, SITE),
        "more devices": ("charger", replace(entry, devices=3), SITE),
        "another device": ("turbine", entry, SITE),
        "the signature of another entry": ("charger", replace(entry, signature=other.signature), SITE),
        "no signature at all": ("charger", replace(entry, signature="AAAA"), SITE),
        "half a character": ("charger", replace(entry, signature="A"), SITE),
        "another site": ("charger", entry, "village"),
    }
    found = {name: refusals(credentials, *each) for name, each in forged.items()}
    assert found == {name: [WRONG_SIGNATURE] for name in forged}


def test_the_signature_of_another_site_s_authority_is_refused(
    tmp_path: Path, scenario: Scenario, entry: Registration
) -> None:
    make_secrets(tmp_path / "other", SITE, identities(Fleet(scenario)))
    assert refusals(FileCredentials(tmp_path / "other"), "charger", entry) == [WRONG_SIGNATURE]


def test_without_an_authority_an_unsigned_registration_is_believed(entry: Registration) -> None:
    assert refusals(ADDRESS_CREDENTIALS, "charger", replace(entry, signature="")) == []


def test_an_authority_without_a_certificate_is_an_error_with_a_remedy(tmp_path: Path, secrets: Path) -> None:
    authority = SecretsFolder(tmp_path).authority
    authority.write_bytes(SecretsFolder(secrets).authority.read_bytes())
    credentials = FileCredentials(tmp_path)
    text = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with pytest.raises(ValueError, match="no certificate"):
        SignatureCheck(text.decode())
    credentials._authority = text  # noqa: SLF001 - TLS refuses such a file before
    with pytest.raises(BrokerError, match=r"ca\.crt cannot be read .*gridfleet site init"):
        credentials.verify(b"", "")


@given(data=binary(max_size=300), other=binary(max_size=300), place=integers(0, 71), bit=integers(0, 7))
def test_it_agrees_with_another_implementation(
    authority: Authority, data: bytes, other: bytes, place: int, bit: int
) -> None:
    verify = SignatureCheck(authority.issued.certificate.decode())
    signature = authority.sign(data)
    assert verify(data, signature)
    assert verify(other, signature) == (other == data)
    raw = bytearray(b64decode(signature))
    raw[place % len(raw)] ^= 1 << bit
    try:
        authority.public_key.verify(bytes(raw), data, ECDSA(SHA256()))
        is_valid = True
    except InvalidSignature:
        is_valid = False
    assert verify(data, b64encode(raw).decode()) == is_valid


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create(SITE)


def test_a_missing_library_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch, secrets: Path) -> None:
    monkeypatch.setattr(signatures, "_LIBRARIES", ("libmissing.so.3",))
    signatures._openssl.cache_clear()  # noqa: SLF001 - as in a new process
    with pytest.raises(BrokerError, match=r"libmissing\.so\.3\) is missing; install it"):
        FileCredentials(secrets).verify(b"", "")


def test_the_clock_publishes_what_the_site_has_signed_and_reports_the_rest(
    secrets: Path, scenario: Scenario
) -> None:
    reports: list[str] = []
    signed = signed_entries(str(secrets), Fleet(scenario), reports.append)
    assert reports == []
    assert signed_registrations(scenario, signed) == signed
    wider = parse("", "town.toml", "", [*SMALL, "chargers.count=3"])
    signed = signed_entries(str(secrets), Fleet(wider), reports.append)
    assert "the limits of charger are" in reports[0]
    assert "gridfleet site init DIR --scenario S" in reports[0]
    published = signed_registrations(wider, signed)
    assert published["charger"].signature == ""
    assert published["household"] == signed["household"]
    distrust = parse("", "town.toml", "", [f"site={SITE}", "trust.enabled=false"])
    assert signed_entries(str(secrets), Fleet(distrust), reports.append) == {}
    assert signed_entries(None, Fleet(wider), reports.append) == {}
    assert len(reports) == 1


def test_a_scenario_s_register_is_signed_by_site_init_and_kept_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = SecretsFolder(tmp_path / "secrets")
    small = ["--set", "chargers.count=3", "households.count=2", "vehicles.count=2", "turbines.count=1"]
    assert main(["site", "init", "--scenario", "normal", *small]) == ExitCode.SUCCESS
    before = read_register(folder)
    assert before["charger"].devices == 3
    assert main(["site", "init"]) == ExitCode.SUCCESS
    assert read_register(folder) == before
    changed = [*small, "chargers.count=4"]
    assert main(["site", "init", "--scenario", "normal", *changed]) == ExitCode.SUCCESS
    after = read_register(folder)
    assert after["charger"].devices == 4
    assert {name for name in after if after[name] != before[name]} == {"charger"}
    for subject, entry in after.items():
        assert refusals(FileCredentials(folder.path), subject, entry, "germany") == []


def test_a_signature_is_no_part_of_what_is_signed() -> None:
    unsigned = Registration(2, Limits(ports=3))
    assert replace(unsigned, signature="AAAA").signed_bytes(SITE, "x") == unsigned.signed_bytes(SITE, "x")
    assert unsigned.signed_bytes(SITE, "x") != replace(unsigned, devices=3).signed_bytes(SITE, "x")
