"""Checks what a site's CA has signed, by the OpenSSL library that Python's `ssl` needs anyway.

The package `cryptography` does the same, and takes 8 MB of a device's memory; for the 32-bit Arm of older Pis it has no
wheels. So a device calls OpenSSL itself, by its documented interface (EVP_DigestVerify); nothing secret passes through.
"""

import base64
import binascii
import ctypes
import ssl
from ctypes import c_char_p, c_int, c_size_t, c_void_p
from functools import lru_cache
from typing import Final

from gridfleet.broker.errors import BrokerError

_LIBRARIES: Final = ("libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so")
_SIGNATURES: Final = {
    "d2i_X509": (c_void_p, (c_void_p, c_void_p, ctypes.c_long)),
    "X509_free": (None, (c_void_p,)),
    "X509_get_pubkey": (c_void_p, (c_void_p,)),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_MD_CTX_new": (c_void_p, ()),
    "EVP_MD_CTX_free": (None, (c_void_p,)),
    "EVP_sha256": (c_void_p, ()),
    "EVP_DigestVerifyInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestVerify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "ERR_clear_error": (None, ()),
}
"""Result and arguments of each function."""


class SignatureCheck:
    """Checks signatures of SHA-256 digests by the public key of a certificate."""

    def __init__(self, certificate: str) -> None:
        """`certificate` is PEM.

        Raises ValueError where it holds no certificate, BrokerError where OpenSSL's library is missing.
        """
        self._openssl = openssl = _openssl()
        der = ssl.PEM_cert_to_DER_cert(certificate)
        start = ctypes.create_string_buffer(der, len(der))
        parsed = openssl.d2i_X509(None, ctypes.byref(ctypes.cast(start, c_void_p)), len(der))
        self._key = openssl.X509_get_pubkey(parsed) if parsed else None
        openssl.X509_free(parsed)
        openssl.ERR_clear_error()
        if not self._key:
            raise ValueError("no certificate")

    def __del__(self) -> None:
        """Free the key."""
        if getattr(self, "_key", None):
            self._openssl.EVP_PKEY_free(self._key)

    def __call__(self, data: bytes, signature: str) -> bool:
        """Return whether the owner of the certificate has signed these bytes; `signature` is in base64."""
        try:
            raw = base64.b64decode(signature, validate=True)
        except binascii.Error:
            return False
        openssl = self._openssl
        context = openssl.EVP_MD_CTX_new()
        try:
            ready = openssl.EVP_DigestVerifyInit(context, None, openssl.EVP_sha256(), None, self._key)
            if ready != 1:
                return False
            return int(openssl.EVP_DigestVerify(context, raw, len(raw), data, len(data))) == 1
        finally:
            openssl.EVP_MD_CTX_free(context)
            openssl.ERR_clear_error()


@lru_cache(maxsize=1)
def _openssl() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        for function, (result, arguments) in _SIGNATURES.items():
            getattr(library, function).restype = result
            getattr(library, function).argtypes = arguments
        return library
    raise BrokerError(
        f"signatures of the site cannot be checked: OpenSSL's library ({_LIBRARIES[0]}) is missing; "
        "install it (Debian: libssl3)"
    )
