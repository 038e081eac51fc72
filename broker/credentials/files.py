"""The secrets folder (made by `gridfleet site init`): the paths of its files, and the credentials of clients in it.

A device needs only `ca.crt` and its own files under `clients/`; in its own folder, `site` names their site.
"""

import ssl
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import BrokerError, error_reason
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.protocol.messages import Verify

REMEDY: Final = "make it with `gridfleet site init DIR`"
CLIENT_REMEDY: Final = (
    "make it with `gridfleet site init DIR --scenario S`, "
    "or for one device with `gridfleet device enrol FILE`"
)


@dataclass(frozen=True, slots=True)
class SecretsFolder:
    """The paths of all files of a secrets folder."""

    path: Path

    @property
    def authority(self) -> Path:
        """The certificate of the site's CA, which signs the certificates of broker and clients."""
        return self.path / "ca.crt"

    @property
    def authority_key(self) -> Path:
        """The private key of the CA; the broker does not need it, so keep it elsewhere."""
        return self.path / "ca.key"

    @property
    def revoked(self) -> Path:
        """The list of revoked certificates (CRL)."""
        return self.path / "ca.crl"

    @property
    def certificate(self) -> Path:
        """The broker's certificate."""
        return self.path / "server.crt"

    @property
    def key(self) -> Path:
        """The broker's private key."""
        return self.path / "server.key"

    @property
    def passwords(self) -> Path:
        """The hashed passwords, in Mosquitto's format."""
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
    def register(self) -> Path:
        """The site's register: what each device may be believed in, signed by the CA. No secret; the clock needs it."""
        return self.path / "register.json"

    @property
    def site(self) -> Path:
        """In a device's own folder, a copy of some of these files: the name of the site that enrolled it."""
        return self.path / "site"

    @property
    def brokers(self) -> Path:
        """The folder in which running brokers register that they use these secrets."""
        return self.path / "brokers"

    @property
    def clients(self) -> Path:
        """The folder with what each client needs to log in."""
        return self.path / "clients"

    def files_of(self, name: str, *, certificates: bool) -> tuple[Path, ...]:
        """Return the paths of all that a client needs to log in; with `certificates` also its certificate and key."""
        needed = (self.authority, self.password_of(name))
        return (*needed, self.certificate_of(name), self.key_of(name)) if certificates else needed

    def password_of(self, name: str) -> Path:
        """Return the path of a client's password, in clear text."""
        return self.clients / f"{name}.password"

    def certificate_of(self, name: str) -> Path:
        """Return the path of a client's certificate."""
        return self.clients / f"{name}.crt"

    def key_of(self, name: str) -> Path:
        """Return the path of a client's private key."""
        return self.clients / f"{name}.key"


class FileCredentials:
    """Credentials by client id, read from a secrets folder when they are needed."""

    def __init__(self, path: Path | str, *, certificates: bool = False) -> None:
        """With `certificates` clients also present a certificate, as a broker with mTLS requires.

        Raises BrokerError when the CA certificate is missing.
        """
        self._folder = SecretsFolder(Path(path))
        self._certificates = certificates
        self._authority = _read(self._folder.authority)
        self._tls = _context(self._folder)
        self._verify: Verify | None = None

    def __repr__(self) -> str:
        return f"FileCredentials({str(self._folder.path)!r})"

    @property
    def tls(self) -> ssl.SSLContext:
        """A TLS context that trusts only the site's CA; without a client certificate."""
        return self._tls

    def verify(self, data: bytes, signature: str) -> bool:
        """Return whether the site's CA has signed these bytes; `signature` is in base64.

        Raises BrokerError where OpenSSL's library is missing.
        """
        if self._verify is None:
            # Few clients receive signatures, so few load OpenSSL's functions.
            from gridfleet.broker.credentials.signatures import SignatureCheck

            try:
                self._verify = SignatureCheck(self._authority.decode("ascii"))
            except ValueError as error:
                raise _missing(self._folder.authority, error) from None
        return self._verify(data, signature)

    def login(self, client_id: str) -> Login:
        """Return the login of a client; raise BrokerError for a file that is missing or unreadable."""
        folder = self._folder
        try:
            password = folder.password_of(client_id).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            raise _missing(folder.password_of(client_id), error, CLIENT_REMEDY) from None
        if not self._certificates:
            return Login(client_id, password, self._tls, partial(self._renewed, client_id), self.verify)
        tls = _context(folder)
        try:
            tls.load_cert_chain(folder.certificate_of(client_id), folder.key_of(client_id))
        except OSError as error:
            raise _missing(folder.certificate_of(client_id), error, CLIENT_REMEDY) from None
        return Login(client_id, password, tls, partial(self._renewed, client_id), self.verify)

    def _renewed(self, client_id: str) -> Login:
        """Return a login by the files as they are now; raise BrokerError as `login`."""
        authority = _read(self._folder.authority)
        if authority != self._authority:
            self._authority, self._tls, self._verify = authority, _context(self._folder), None
        return self.login(client_id)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _missing(path, error) from None


def _context(folder: SecretsFolder) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=folder.authority)
    except OSError as error:
        raise _missing(folder.authority, error) from None


def _missing(path: Path, error: Exception, remedy: str = REMEDY) -> BrokerError:
    return BrokerError(f"{path} cannot be read ({error_reason(error)}): {remedy}")
