"""Bearer tokens of service accounts: JSON Web Tokens, signed with a key of the lab's own (STATE/pki/sa.key)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from lab.api.store import Stored, dumps

ISSUER = "https://kubernetes.default.svc.cluster.local"
_REMEMBERED = 1024
_HALF = 32  # bytes of each of the two numbers of a P-256 signature
_LONGEST = 16 * 1024

Claims = dict[str, Any]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def reference(stored: Stored) -> dict[str, str]:
    """Name and uid of an object that a token is about."""
    return {"name": stored.key[1], "uid": str(stored.metadata["uid"])}


class Tokens:
    """Signs tokens and reads them back. Without a key it makes one that nobody else has."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._public = self._key.public_key()
        shape = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self._head = {"alg": "ES256", "kid": _encode(hashlib.sha256(self._public.public_bytes(*shape)).digest())}
        self._known: dict[str, Claims] = {}

    @classmethod
    def load(cls, state: Path) -> Tokens:
        """Tokens signed with the key of a state folder. Raises OSError, ValueError."""
        key = serialization.load_pem_private_key((state / "pki" / "sa.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{state / 'pki' / 'sa.key'} is not a key of an elliptic curve")  # noqa: TRY004
        return cls(key)

    def issue(
        self, account: Stored, audiences: list[str], now: datetime, seconds: int, bound: tuple[str, Stored] | None
    ) -> str:
        """A new token of ``account``; ``bound`` is the kind (lower case) and object with which it ends."""
        about: dict[str, Any] = {"namespace": account.key[0], "serviceaccount": reference(account)}
        if bound is not None:
            about[bound[0]] = reference(bound[1])
        start = int(now.timestamp())
        return self.sign(
            {
                "aud": audiences,
                "exp": start + seconds,
                "iat": start,
                "iss": ISSUER,
                "jti": str(uuid.uuid4()),
                "kubernetes.io": about,
                "nbf": start,
                "sub": f"system:serviceaccount:{account.key[0]}:{account.key[1]}",
            }
        )

    def sign(self, claims: Claims) -> str:
        """Claims as a token."""
        content = f"{_encode(dumps(self._head))}.{_encode(dumps(claims))}"
        first, second = decode_dss_signature(self._key.sign(content.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{content}.{_encode(first.to_bytes(_HALF) + second.to_bytes(_HALF))}"

    def read(self, token: str, now: datetime) -> Claims | None:
        """The claims of a token of ours that is valid now, or None. A signature is looked at once only."""
        claims = self._known.get(token)
        if claims is None:
            claims = self._verified(token)
            if claims is None:
                return None
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[token] = claims
        return claims if claims["nbf"] <= now.timestamp() < claims["exp"] else None

    def _verified(self, token: str) -> Claims | None:
        content, _, signature = token.rpartition(".")
        head, _, body = content.partition(".")
        if not body or len(token) > _LONGEST:
            return None
        try:
            if json.loads(_decode(head)) != self._head:
                return None
            pair = _decode(signature)
            if len(pair) != 2 * _HALF:
                return None
            numbers = int.from_bytes(pair[:_HALF]), int.from_bytes(pair[_HALF:])
            self._public.verify(encode_dss_signature(*numbers), content.encode(), ec.ECDSA(hashes.SHA256()))
            claims: Claims = json.loads(_decode(body))
        except (ValueError, binascii.Error, InvalidSignature, RecursionError):
            return None
        return claims if claims.get("iss") == ISSUER else None
