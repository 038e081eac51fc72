"""Mosquitto's configuration: its lines for each version, and that Mosquitto accepts it."""

from pathlib import Path

import pytest

from gridfleet.broker.brokers.mosquitto.config import Access, Listener, Tls, Version, configuration
from gridfleet.broker.protocol.codec import MAX_PAYLOAD

TLS = Tls(Path("/s/server.crt"), Path("/s/server.key"), Path("/s/ca.crt"), Path("/s/ca.crl"))
ACCESS = Access(Path("/s/passwords"), Path("/s/acl"))
DEPRECATED = ("per_listener_settings", "password_file", "acl_file", "allow_anonymous")


def keys(text: str) -> list[str]:
    return [line.partition(" ")[0] for line in text.splitlines() if line]


def test_2_0_has_one_password_file_and_acl_file_for_all_listeners() -> None:
    lines = configuration([Listener(8883, "", TLS), Listener(1883)], ACCESS).splitlines()
    assert lines.index("per_listener_settings false") == 0
    for line in ("allow_anonymous false", "password_file /s/passwords", "acl_file /s/acl", "listener 8883"):
        assert lines.count(line) == 1
    assert lines.count("use_username_as_clientid true") == 2


def test_2_1_uses_plugins_and_nothing_deprecated() -> None:
    text = configuration([Listener(8883, "", TLS)], ACCESS, version=Version.V2_1, plugins=Path("/lib/m"))
    assert not set(DEPRECATED) & set(keys(text))
    lines = text.splitlines()
    password = lines.index("global_plugin /lib/m/mosquitto_password_file.so")
    assert lines[password + 1] == "plugin_opt_password_file /s/passwords"
    plugin = lines.index("global_plugin /lib/m/mosquitto_acl_file.so")
    assert lines[plugin + 1] == "plugin_opt_acl_file /s/acl"
    assert "listener_allow_anonymous false" in lines


def test_the_largest_payload_fits_into_the_largest_packet() -> None:
    limit = next(line for line in configuration([], None).splitlines() if line.startswith("max_packet_size"))
    longest_topic = len("gridfleet/") + 5 * 49
    assert int(limit.split()[1]) > MAX_PAYLOAD + longest_topic + 100


def test_client_certificates_are_required_only_where_configured() -> None:
    required = Tls(TLS.certificate, TLS.key, TLS.authority, TLS.revoked, client_certificates=True)
    for tls, expected in ((TLS, False), (required, True)):
        found = set(keys(configuration([Listener(8883, "", tls)], ACCESS)))
        assert ({"require_certificate", "use_identity_as_username", "crlfile"} <= found) == expected


def test_anonymous_clients_are_allowed_only_without_users() -> None:
    assert "allow_anonymous true" in configuration([Listener(1883)], None)
    assert "listener_allow_anonymous true" in configuration([Listener(1883)], None, version=Version.V2_1)


def test_a_path_cannot_add_a_line() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        configuration([], Access(Path("/s\nallow_anonymous true"), Path("/s/acl")))
