"""Tokens as applications make them, and as others would like to: signed by hand, so that no library objects."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET = "a secret of the tests, long enough"
OTHER_SECRET = "another secret, which is as long as that"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hs256(header: dict[str, Any] | str, claims: dict[str, Any] | str, key: str | bytes) -> str:
    """A token whose header and claims are what is given, or the given text, signed with HMAC-SHA256."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    signed = ".".join(base64url(part.encode("utf-8", "surrogatepass")) for part in parts)
    key = key.encode() if isinstance(key, str) else key
    return f"{signed}.{base64url(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def claims_of(now: float, *, sub: str = "ann", rights: tuple[str, ...] = ("*",), **more: Any) -> dict[str, Any]:
    """The claims of a good token that ends in a minute; `more` replaces and adds, None leaves a claim out."""
    own = {"publish": list(rights), "subscribe": list(rights)}
    claims = {"sub": sub, "exp": int(now) + 60, "gapless": own, **more}
    return {name: value for name, value in claims.items() if value is not None}


@dataclass
class Secret:
    """The application shares a secret with the service."""

    secret: str = SECRET

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.secret, "HS256")

    def sign_by_another(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, OTHER_SECRET, "HS256")

    def confuse(self, claims: dict[str, Any]) -> str:
        """The header says RS256, and the signature is the secret's HMAC."""
        return hs256({"alg": "RS256", "typ": "JWT"}, claims, self.secret)


@cache
def private_key(kind: str, number: int = 0) -> Any:
    """A key, made once a process. `kind`: RSA, EC, EC384 or OKP; `number`: another one of its kind."""
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    if kind == "OKP":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if kind == "EC384" else ec.SECP256R1())


_ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "EC384": "ES384", "OKP": "EdDSA"}


@dataclass
class Published:
    """The application, or who signs in for it, publishes the key that verifies its tokens."""

    kind: str = "RSA"
    kid: str | None = "one"
    number: int = 0
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def algorithm(self) -> str:
        return _ALGORITHMS[self.kind]

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as a JWKS lists it."""
        public = private_key(self.kind, self.number).public_key()
        jwk = dict(jwt.get_algorithm_by_name(self.algorithm).to_jwk(public, as_dict=True))
        jwk.pop("key_ops", None)
        named = {} if self.kid is None else {"kid": self.kid}
        return {**jwk, **named, **self.more}

    def sign(self, claims: dict[str, Any], algorithm: str | None = None) -> str:
        return self._sign(private_key(self.kind, self.number), claims, algorithm or self.algorithm)

    def sign_by_another(self, claims: dict[str, Any]) -> str:
        """Another key that claims to be this one."""
        return self._sign(private_key(self.kind, self.number + 1000), claims, self.algorithm)

    def confuse(self, claims: dict[str, Any]) -> str:
        """The header says HS256, and the secret is the public key, which everybody knows."""
        public = private_key(self.kind, self.number).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return hs256({"alg": "HS256", "typ": "JWT", "kid": self.kid}, claims, pem)

    def _sign(self, key: Any, claims: dict[str, Any], algorithm: str) -> str:
        return jwt.encode(claims, key, algorithm, headers=None if self.kid is None else {"kid": self.kid})


Signer = Secret | Published


def unsigned(claims: dict[str, Any]) -> str:
    """`alg: none`, and no signature."""
    return hs256({"alg": "none", "typ": "JWT"}, claims, b"").rpartition(".")[0] + "."
