"""X.509 certificates of a site: its own authority, certificates for broker and clients, and the revocation list.

Keys are on the elliptic curve P-256: small, quick to make on a Pi, and supported by every TLS library.
"""

import base64
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS: Final = 3_650
CERTIFICATE_DAYS: Final = 397
"""The longest validity that browsers accept."""
BACKDATE: Final = timedelta(days=1)
"""Certificates are valid from a day before they were made, because the clock of a Pi is often slow."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs certificates; `issued` is its own."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, *, is_new: bool = False
    ) -> None:
        self.is_new = is_new
        """Whether it was created just now, so that no earlier certificate is valid."""
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, site: str) -> Self:
        """Return a new authority for a site."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"GridFleet {site}")])
        builder = _builder(name, name, key, AUTHORITY_DAYS)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key, is_new=True)

    @classmethod
    def load(cls, issued: IssuedCertificate) -> Self:
        """Return an authority from its certificate and key; raise ValueError where they are invalid or do not match."""
        key = load_pem_private_key(issued.key, None)
        certificate = x509.load_pem_x509_certificate(issued.certificate)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise ValueError("certificate and key of the authority do not match")
        return cls(certificate, key)

    @property
    def issued(self) -> IssuedCertificate:
        """Its own certificate and key."""
        return _issued(self._certificate, self._key)

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key that checks its signatures."""
        return self._key.public_key()

    def server(self, hosts: Sequence[str]) -> IssuedCertificate:
        """Return a certificate for a broker with these host names and addresses."""
        return self._sign(hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, [_host(host) for host in hosts])

    def client(self, name: str) -> IssuedCertificate:
        """Return a certificate for a client; its name is the common name."""
        return self._sign(name, ExtendedKeyUsageOID.CLIENT_AUTH, [x509.DNSName(name)])

    def revocations(self, serials: Iterable[int]) -> bytes:
        """Return the signed list of revoked certificates, in PEM."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - BACKDATE)
            .next_update(self._certificate.not_valid_after_utc)  # an expired list would lock out every client
        )
        for serial in sorted(set(serials)):
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def sign(self, data: bytes) -> str:
        """Return the signature of bytes, in base64."""
        return base64.b64encode(self._key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()

    def _sign(
        self, name: str, purpose: x509.ObjectIdentifier, names: list[x509.GeneralName]
    ) -> IssuedCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = self._key.public_key()
        certificate = (
            _builder(subject, self._certificate.subject, key, CERTIFICATE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _issued(certificate, key)


def serial_of(certificate: bytes) -> int:
    """Return the serial number of a PEM certificate."""
    return x509.load_pem_x509_certificate(certificate).serial_number


def revoked_in(revocations: bytes) -> set[int]:
    """Return the serial numbers in a PEM list of revoked certificates."""
    return {each.serial_number for each in x509.load_pem_x509_crl(revocations)}


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> IssuedCertificate:
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return IssuedCertificate(certificate.public_bytes(Encoding.PEM), secret)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def host_names(path: Path) -> list[str]:
    """Return the host names and addresses for which a broker's certificate in PEM is valid, in its order.

    Raises OSError for a file that cannot be read, ValueError for one that holds no certificate.
    """
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
