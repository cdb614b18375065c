"""What an issuer publishes is read entry by entry: each that verifies is a key, and none harms another."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from gapless.auth.key_set import MOST_KEYS, MOST_OF_ONE_ID, Unusable, algorithms_of, read_key, read_key_set
from gapless.auth.tokens import Expected, verify_published
from gapless.log.errors import Unauthorized
from tests.testkit import strategies as some
from tests.testkit.forge import Published, claims_of, private_key

NOW = 1_767_225_600.0


def read(*entries: Any) -> Any:
    return read_key_set(json.dumps({"keys": entries}).encode())


def private(signer: Published) -> dict[str, Any]:
    """The whole key, as nobody should publish it."""
    key = private_key(signer.kind, signer.number)
    return {**jwt.get_algorithm_by_name(signer.algorithm).to_jwk(key, as_dict=True), "kid": signer.kid or ""}


KINDS = [Published("RSA"), Published("EC"), Published("EC384"), Published("OKP")]


UNUSABLE: dict[str, Any] = {
    "no object": [],
    "a text": "key",
    "null": None,
    "a shared secret": {"kty": "oct", "k": "c2VjcmV0"},
    "nothing": {},
    "a kind that is none": {"kty": ["RSA"]},
    "a use that is none": {**Published("RSA").jwk, "use": ["sig"]},
    "an unknown kind": {"kty": "XYZ"},
    "RSA without its numbers": {"kty": "RSA"},
    "RSA with numbers that are none": {"kty": "RSA", "n": "!", "e": "!"},
    "numbers of the wrong type": {"kty": "RSA", "n": 5, "e": []},
    "EC off its curve": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
    "an unknown curve": {"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"},
    "a curve that is none": {"kty": "EC", "crv": [], "x": "AAAA", "y": "AAAA"},
}


@pytest.mark.parametrize("jwk", UNUSABLE.values(), ids=UNUSABLE)
def test_an_entry_that_can_not_verify_is_refused_and_harms_no_other(jwk: Any) -> None:
    with pytest.raises(Unusable):
        read_key(jwk)
    found = read(jwk, Published("EC").jwk, jwk)
    assert list(found.by_id) == ["one"]
    assert len(found.refused) == 2


@pytest.mark.parametrize("purpose", [{"use": "enc"}, {"alg": "RSA-OAEP"}, {"alg": "HS256"}, {"alg": ["RS256"]}])
def test_a_key_for_another_purpose_is_refused(purpose: dict[str, Any]) -> None:
    signer = Published("RSA")
    assert read_key(signer.jwk)
    with pytest.raises(Unusable, match="another use"):
        read_key(signer.jwk | purpose)


def test_no_published_key_verifies_what_a_shared_one_signs() -> None:
    kinds = [{"kty": kind, "crv": curve} for kind in ("RSA", "EC", "OKP", "oct") for curve in ("P-256", "Ed25519", "")]
    assert not [name for jwk in kinds for name in algorithms_of(jwk) if name.startswith("HS") or name == "none"]


@pytest.mark.parametrize("signer", KINDS, ids=lambda signer: signer.kind)
def test_a_private_key_published_by_mistake_verifies_nothing(signer: Published) -> None:
    """Everybody can sign with it."""
    other = Published("EC", "another", 7)
    found = read(private(signer), other.jwk)
    assert list(found.by_id) == ["another"]
    assert "it is a private key, with which everybody can sign" in found.refused[0]
    assert private(signer)["d"] not in found.refused[0]


def test_a_shared_secret_in_a_public_place_is_named() -> None:
    secret = base64.urlsafe_b64encode(b"0123456789abcdef0123456789abcdef").decode()
    found = read({"kty": "oct", "kid": "shared", "alg": "HS256", "k": secret})
    assert found.by_id == {}
    assert "'shared'" in found.refused[0] and "shared secret" in found.refused[0] and secret not in found.refused[0]


def test_an_rsa_key_that_is_too_short_is_refused() -> None:
    public = rsa.generate_private_key(65537, 1024).public_key()
    short = {**jwt.get_algorithm_by_name("RS256").to_jwk(public, as_dict=True), "kid": "short"}
    with pytest.raises(Unusable, match="1024 bits"):
        read_key({key: value for key, value in short.items() if key != "key_ops"})


def test_keys_of_several_kinds_may_have_one_id() -> None:
    signers = [Published("RSA", "same"), Published("EC", "same"), Published("OKP", "same")]
    found = read(*(signer.jwk for signer in signers)).find("same")
    assert len(found) == 3
    for signer, key in zip(signers, found, strict=True):
        assert verify_published(signer.sign(claims_of(NOW)), key, Expected(), NOW).user == "ann"
    for signer, key in ((signers[0], found[1]), (signers[1], found[0])):
        with pytest.raises(Unauthorized):
            verify_published(signer.sign(claims_of(NOW)), key, Expected(), NOW)


def test_there_is_a_bound_to_keys_and_to_those_of_one_id() -> None:
    jwk = Published("EC", "same").jwk
    found = read(*[jwk] * (MOST_OF_ONE_ID + 1))
    assert len(found.find("same")) == MOST_OF_ONE_ID
    assert "others have the same id" in found.refused[0]
    many = read(*({**jwk, "kid": f"{number}"} for number in range(MOST_KEYS + 5)))
    assert len(many.by_id) == MOST_KEYS
    assert many.refused == (f"of {MOST_KEYS + 5} entries only {MOST_KEYS} are read",)


def test_what_is_said_of_an_entry_is_one_short_line() -> None:
    (said,) = read({"kty": "RSA", "kid": "\n\x1b" * 5000}).refused
    assert said.isprintable() and len(said) < 200


@pytest.mark.parametrize("listed", [[], [5], [None], [{}], [{"kty": "oct"}]])
def test_a_set_without_a_key_that_verifies_is_an_empty_one(listed: list[Any]) -> None:
    assert read(*listed).by_id == {}


@given(st.lists(some.json_values, max_size=3))
def test_whatever_is_listed_is_read(listed: list[Any]) -> None:
    found = read(*listed, Published("EC").jwk)
    assert found.find("one")


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":5}', b'{"keys":{}}', b'{"keys":' + b"[" * 100_000])
def test_what_is_no_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON Web Key Set"):
        read_key_set(document)
