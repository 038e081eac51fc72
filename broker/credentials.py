"""The folder that `gridfleet secrets` makes: where each secret lies, and how a client logs in with its own.

A device needs of it `ca.crt` and its own files under `clients/`, nothing else.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import BrokerError, error_reason
from gridfleet.broker.mqtt.client_options import Login

REMEDY: Final = "make it with `gridfleet secrets DIR`"


@dataclass(frozen=True, slots=True)
class SecretsFolder:
    """The paths of all secrets of a site."""

    path: Path

    @property
    def authority(self) -> Path:
        """The site's certificate authority, by which clients know the broker and the broker its clients."""
        return self.path / "ca.crt"

    @property
    def authority_key(self) -> Path:
        """With it, anybody can make valid certificates: it need not lie where the broker runs."""
        return self.path / "ca.key"

    @property
    def revoked(self) -> Path:
        """The list of certificates that are not valid any more."""
        return self.path / "ca.crl"

    @property
    def certificate(self) -> Path:
        """The broker's certificate."""
        return self.path / "server.crt"

    @property
    def key(self) -> Path:
        """The broker's key."""
        return self.path / "server.key"

    @property
    def passwords(self) -> Path:
        """The hashes of all passwords, as Mosquitto reads them."""
        return self.path / "passwords"

    @property
    def acl(self) -> Path:
        """The access rules, in Mosquitto's format."""
        return self.path / "acl"

    @property
    def user_registry(self) -> Path:
        """Who may log in, with role and cell; the access rules are made from it."""
        return self.path / "users.json"

    @property
    def brokers(self) -> Path:
        """Where brokers that run with these secrets say so."""
        return self.path / "brokers"

    @property
    def clients(self) -> Path:
        """The folder with what each client needs to log in."""
        return self.path / "clients"

    def password_of(self, name: str) -> Path:
        """A client's password, in clear text."""
        return self.clients / f"{name}.password"

    def certificate_of(self, name: str) -> Path:
        """A client's certificate."""
        return self.clients / f"{name}.crt"

    def key_of(self, name: str) -> Path:
        """A client's key."""
        return self.clients / f"{name}.key"


class FileCredentials:
    """Credentials by id, read from a folder when they are asked for; raises BrokerError for what is missing."""

    def __init__(self, path: Path | str, *, certificates: bool = False) -> None:
        """`certificates` says to log in by certificate as well, as a broker with mTLS demands."""
        self._folder = SecretsFolder(Path(path))
        self._certificates = certificates
        self._tls = _context(self._folder)

    def __repr__(self) -> str:
        return f"FileCredentials({str(self._folder.path)!r})"

    @property
    def tls(self) -> ssl.SSLContext:
        """Trusts the site's authority, and nobody else; without a certificate of a client."""
        return self._tls

    def login(self, client_id: str) -> Login:
        """Return how a client logs in."""
        folder = self._folder
        try:
            password = folder.password_of(client_id).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            raise _missing(folder.password_of(client_id), error) from None
        if not self._certificates:
            return Login(client_id, password, self._tls)
        tls = _context(folder)
        try:
            tls.load_cert_chain(folder.certificate_of(client_id), folder.key_of(client_id))
        except OSError as error:
            raise _missing(folder.certificate_of(client_id), error) from None
        return Login(client_id, password, tls)


def _context(folder: SecretsFolder) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=folder.authority)
    except OSError as error:
        raise _missing(folder.authority, error) from None


def _missing(path: Path, error: Exception) -> BrokerError:
    return BrokerError(f"the secret {path} cannot be used ({error_reason(error)}): {REMEDY}")
