"""The key encapsulation of ``oqs``, liboqs' Python module, with the interface that its users know, on real ML-KEM.

The reference service's image holds it where an image of the real system holds liboqs-python. Nothing is imitated but
the interface: keys, ciphertexts and secrets are those of FIPS 203, made by the installed ``cryptography``.
https://github.com/open-quantum-safe/liboqs-python
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from cryptography import __version__ as _provider
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)

_Private = MLKEM768PrivateKey | MLKEM1024PrivateKey
_Public = MLKEM768PublicKey | MLKEM1024PublicKey
_KEMS: dict[str, tuple[type[_Private], type[_Public]]] = {
    "ML-KEM-768": (MLKEM768PrivateKey, MLKEM768PublicKey),
    "ML-KEM-1024": (MLKEM1024PrivateKey, MLKEM1024PublicKey),
}


class MechanismNotSupportedError(Exception):
    """There is no such algorithm in this build."""

    def __init__(self, alg_name: str) -> None:
        super().__init__(f"{alg_name} is not supported by OQS")
        self.alg_name = alg_name


class KeyEncapsulation:
    """One side of a key encapsulation. Use as a context manager: the key is dropped at its end."""

    def __init__(self, alg_name: str, secret_key: bytes | None = None) -> None:
        """``secret_key`` is what :meth:`export_secret_key` gave. Raises :class:`MechanismNotSupportedError`."""
        if alg_name not in _KEMS:
            raise MechanismNotSupportedError(alg_name)
        self._private, self._public = _KEMS[alg_name]
        self.alg_name = alg_name
        self._key: _Private | None = None if secret_key is None else self._private.from_seed_bytes(secret_key)

    def generate_keypair(self) -> bytes:
        """Make a key pair, keep the secret half and return the public one."""
        key = self._private.generate()
        self._key = key
        return key.public_key().public_bytes_raw()

    def export_secret_key(self) -> bytes:
        """The secret key, as its 64 byte seed. Raises RuntimeError before there is one."""
        return self._secret().private_bytes_raw()

    def encap_secret(self, public_key: bytes) -> tuple[bytes, bytes]:
        """``(ciphertext, shared secret)`` for whoever holds the other half. Raises ValueError for no such key."""
        secret, ciphertext = self._public.from_public_bytes(public_key).encapsulate()
        return ciphertext, secret

    def decap_secret(self, ciphertext: bytes) -> bytes:
        """The shared secret in a ciphertext. Raises RuntimeError before there is a key."""
        return self._secret().decapsulate(ciphertext)

    def free(self) -> None:
        """Drop the key."""
        self._key = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free()

    def _secret(self) -> _Private:
        if self._key is None:
            raise RuntimeError("there is no key pair yet")
        return self._key


def get_enabled_kem_mechanisms() -> tuple[str, ...]:
    """The algorithms of this build."""
    return tuple(_KEMS)


def is_kem_enabled(alg_name: str) -> bool:
    """Whether this build has the algorithm."""
    return alg_name in _KEMS


def oqs_version() -> str:
    """Not liboqs' number: what does the work here."""
    return f"cryptography {_provider}"
