"""Reads the keys that an issuer publishes (a JSON Web Key Set, RFC 7517). Pure.

An entry that can't verify tokens never harms the other entries. The kind of a key decides which algorithms it may
verify.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_KEYS = 100
"""Entries of a set that are read."""
MOST_OF_ONE_ID = 4
"""Keys under one id that are tried: each costs a verification for every forged token."""
SHORTEST_RSA = 2048
"""Bits: RFC 7518, 3.3."""

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
_EDWARDS = ("EdDSA",)


class Unusable(ValueError):
    """An entry that verifies no token; the message says why, and holds no key."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key, and the algorithms that it may verify: at least one."""

    algorithms: tuple[str, ...]
    public: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """What was published at one time. `by_id`: "" for keys without one. `refused`: sentences about other entries."""

    by_id: Mapping[str, tuple[PublishedKey, ...]] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    def find(self, named: str | None) -> tuple[PublishedKey, ...]:
        """The keys of this id; for a token that names none those of the only id there is."""
        if named is None and len(self.by_id) == 1:
            return next(iter(self.by_id.values()))
        return self.by_id.get(named or "", ())


def read_key_set(document: bytes) -> KeySet:
    """The set; ValueError where the document is none."""
    try:
        listed = json.loads(document)["keys"]
        entries = listed[:MOST_KEYS] if isinstance(listed, list) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        entries = None
    if entries is None:
        raise ValueError("it is no JSON Web Key Set")
    found: dict[str, tuple[PublishedKey, ...]] = {}
    refused = [f"of {len(listed)} entries only {MOST_KEYS} are read"] if len(listed) > MOST_KEYS else []
    for entry in entries:
        try:
            _add(found, _id(entry), read_key(entry))
        except Unusable as why:
            refused.append(f"the entry {ascii(_id(entry))[:60]} verifies no token: {why}")
    return KeySet(found, tuple(refused))


def read_key(entry: object) -> PublishedKey:
    """The key of one entry; raises Unusable.

    A key that is published with its private half verifies nothing: everybody who can read it can sign tokens.
    """
    if not isinstance(entry, dict):
        raise Unusable("it is no key")
    if entry.get("kty") == "oct":
        raise Unusable("it is a shared secret, which everybody can read there; replace it wherever it is used")
    if "d" in entry:
        raise Unusable("it is a private key, with which everybody can sign tokens; publish another one without its d")
    allowed = algorithms_of(entry)
    if not allowed:
        raise Unusable("it is of another kind, or for another use")
    return PublishedKey(allowed, _public(entry, allowed[0]))


def algorithms_of(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    """The algorithms that a key may verify: those of its kind, and of its own narrower word. Often none."""
    if jwk.get("use", "sig") != "sig":
        return ()
    allowed = {"RSA": _RSA, "EC": _CURVES.get(str(jwk.get("crv")), ()), "OKP": _EDWARDS}.get(str(jwk.get("kty")), ())
    return tuple(name for name in allowed if jwk.get("alg", name) == name)


def _public(jwk: Mapping[str, Any], algorithm: str) -> Any:
    import jwt  # noqa: PLC0415 - only services with published keys pay for it

    try:
        public = jwt.PyJWK({**jwk, "alg": algorithm}).key
    except Exception:  # whatever the libraries below make of it, one entry must not take the others with it
        raise Unusable("its numbers are no key") from None
    if jwk["kty"] == "RSA" and public.key_size < SHORTEST_RSA:
        raise Unusable(f"it has {public.key_size} bits, and RSA needs {SHORTEST_RSA}")
    return public


def _id(entry: object) -> str:
    named = entry.get("kid") if isinstance(entry, dict) else None
    return "" if named is None else str(named)


def _add(found: dict[str, tuple[PublishedKey, ...]], named: str, key: PublishedKey) -> None:
    same = found.get(named, ())
    if len(same) == MOST_OF_ONE_ID:
        raise Unusable(f"{MOST_OF_ONE_ID} others have the same id")
    found[named] = (*same, key)
