"""Every token is read with suspicion, and every grant is as narrow as its claims."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Forbidden, Unauthorized
from app.grant import SKEW, Grant
from app.tokens import (
    TICKET_SECONDS,
    Expected,
    Unverified,
    algorithms_of,
    key_id,
    make_ticket,
    make_token,
    verify_published,
    verify_shared,
    verify_ticket,
)
from tests.front.forge import OTHER_SECRET, SECRET, Published, Secret, claims_of, hs256, unsigned
from tests.support import strategies as some

NOW = 1_767_225_600.0
ANYTHING = Expected()
PUBLISHED = [Published("RSA"), Published("EC"), Published("EC384"), Published("OKP")]


def verify(token: str, expected: Expected = ANYTHING, now: float = NOW) -> Grant:
    return verify_shared(token, SECRET, expected, now)


def signed(**claims: Any) -> str:
    return Secret().sign(claims_of(NOW, **claims))


# --- tokens


def test_what_a_token_says_is_what_its_bearer_may_do() -> None:
    token = make_token(SECRET, "ann", ["a", "b.*"], ["*"], int(NOW) + 60, admin=True)
    assert verify(token) == Grant("ann", ("a", "b.*"), ("*",), admin=True, expires=NOW + 60)
    plain = make_token(SECRET, "ann", [], [], int(NOW) + 60, aud="us")
    assert verify(plain, Expected("us")) == Grant("ann", expires=NOW + 60)


@pytest.mark.parametrize("signer", PUBLISHED, ids=lambda signer: signer.kind)
def test_published_keys_of_every_kind_verify(signer: Published) -> None:
    grant = verify_published(signer.sign(claims_of(NOW)), signer.jwk, ANYTHING, NOW)
    assert grant == Grant("ann", ("*",), ("*",), expires=NOW + 60)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_an_rsa_key_verifies_all_that_rsa_can_unless_it_says_which(algorithm: str) -> None:
    signer = Published("RSA")
    token = signer.sign(claims_of(NOW), algorithm)
    assert verify_published(token, signer.jwk, ANYTHING, NOW).user == "ann"
    assert verify_published(token, {**signer.jwk, "alg": algorithm}, ANYTHING, NOW).user == "ann"
    other = "RS256" if algorithm != "RS256" else "PS256"
    with pytest.raises(Unverified):
        verify_published(token, {**signer.jwk, "alg": other}, ANYTHING, NOW)


NOT_OURS = {
    "of another secret": Secret().sign_by_another(claims_of(NOW)),
    "unsigned": unsigned(claims_of(NOW)),
    "unsigned, with the signature of a good one": unsigned(claims_of(NOW)) + signed().rpartition(".")[2],
    "no algorithm": hs256({"typ": "JWT"}, claims_of(NOW), SECRET),
    "RS256 by name": Secret().confuse(claims_of(NOW)),
    "HS384": hs256({"alg": "HS384"}, claims_of(NOW), SECRET),
    "a list of algorithms": hs256({"alg": ["HS256"]}, claims_of(NOW), SECRET),
    "an extension that must be understood": hs256({"alg": "HS256", "crit": ["x"], "x": 1}, claims_of(NOW), SECRET),
    "cut off": signed()[:-1],
    "empty": "",
    "no JWT": "ann:hunter2",
    "dots": "..",
    "no base64": "a!.b!.c!",
    "a header that is none": hs256("[]", claims_of(NOW), SECRET),
    "a bottomless header": hs256("[" * 20_000, claims_of(NOW), SECRET),
    "a key id that is none": hs256({"alg": "HS256", "kid": 7}, claims_of(NOW), SECRET),
    "claims that are none": hs256({"alg": "HS256"}, "[]", SECRET),
    "bottomless claims": hs256({"alg": "HS256"}, "[" * 20_000, SECRET),
    "not ASCII": "ä.ö.ü",
}


@pytest.mark.parametrize("token", NOT_OURS.values(), ids=NOT_OURS)
def test_what_the_secret_has_not_signed_is_refused(token: str) -> None:
    with pytest.raises(Unauthorized):
        key_id(token)
        verify(token)


@given(st.integers(0), st.sampled_from("ABab_-.="), st.sampled_from([Secret(), *PUBLISHED]))
def test_no_token_survives_the_change_of_a_character(where: int, by: str, signer: Secret | Published) -> None:
    token = signer.sign(claims_of(NOW))
    where %= len(token)
    changed = token[:where] + by + token[where + 1 :]
    if changed == token:
        return
    with pytest.raises(Unauthorized):
        if isinstance(signer, Published):
            verify_published(changed, signer.jwk, ANYTHING, NOW)
        else:
            verify(changed)


@given(some.json_values | st.text())
def test_no_text_is_a_token(value: Any) -> None:
    text = value if isinstance(value, str) else str(value)
    with pytest.raises(Unauthorized):
        key_id(text)
        verify(text)


# --- published keys and confusion


@pytest.mark.parametrize("signer", PUBLISHED, ids=lambda signer: signer.kind)
def test_a_public_key_is_no_secret(signer: Published) -> None:
    with pytest.raises(Unauthorized):
        verify_published(signer.confuse(claims_of(NOW)), signer.jwk, ANYTHING, NOW)
    with pytest.raises(Unauthorized):
        verify_published(unsigned(claims_of(NOW)), signer.jwk, ANYTHING, NOW)
    with pytest.raises(Unauthorized):
        verify_published(signer.sign_by_another(claims_of(NOW)), signer.jwk, ANYTHING, NOW)


UNUSABLE = {
    "a shared secret": {"kty": "oct", "k": "c2VjcmV0"},
    "nothing": {},
    "an unknown kind": {"kty": "XYZ"},
    "RSA without its numbers": {"kty": "RSA"},
    "RSA with numbers that are none": {"kty": "RSA", "n": "!", "e": "!"},
    "numbers of the wrong type": {"kty": "RSA", "n": 5, "e": []},
    "EC off its curve": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
    "an unknown curve": {"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"},
    "a curve that is none": {"kty": "EC", "crv": [], "x": "AAAA", "y": "AAAA"},
}


@pytest.mark.parametrize("jwk", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_can_not_verify_refuses(jwk: dict[str, Any]) -> None:
    for token in (Published("RSA").sign(claims_of(NOW)), signed(), hs256({"alg": "HS256"}, claims_of(NOW), b"secret")):
        with pytest.raises(Unauthorized):
            verify_published(token, jwk, ANYTHING, NOW)


@pytest.mark.parametrize("purpose", [{"use": "enc"}, {"alg": "RSA-OAEP"}, {"alg": "HS256"}, {"alg": ["RS256"]}])
def test_a_key_for_another_purpose_refuses(purpose: dict[str, Any]) -> None:
    signer = Published("RSA")
    assert verify_published(signer.sign(claims_of(NOW)), signer.jwk, ANYTHING, NOW)
    with pytest.raises(Unauthorized):
        verify_published(signer.sign(claims_of(NOW)), signer.jwk | purpose, ANYTHING, NOW)


def test_no_published_key_verifies_what_a_shared_one_signs() -> None:
    kinds = [{"kty": kind, "crv": curve} for kind in ("RSA", "EC", "OKP", "oct") for curve in ("P-256", "Ed25519", "")]
    assert not [name for jwk in kinds for name in algorithms_of(jwk) if name.startswith("HS") or name == "none"]


# --- claims


@pytest.mark.parametrize("sub", [None, "", "x" * 129, 7, ["ann"], "a\nb", "a\x7fb", "\ud800"])
def test_a_token_names_somebody(sub: Any) -> None:
    token = hs256({"alg": "HS256"}, claims_of(NOW) | {"sub": sub}, SECRET)
    with pytest.raises(Unauthorized, match="sub"):
        verify(token)


@pytest.mark.parametrize("sub", ["x", "x" * 128, "Ünï 🙂 <b>", "data: 1"])
def test_whoever_may_stand_as_user_may_be_a_subject(sub: str) -> None:
    assert verify(signed(sub=sub)).user == sub


@pytest.mark.parametrize("exp", ["null", '"1"', "true", "[]", "NaN", "Infinity", "-Infinity", "1e400", "9" * 400])
def test_a_token_has_an_end(exp: str) -> None:
    token = hs256({"alg": "HS256"}, f'{{"sub":"ann","exp":{exp}}}', SECRET)
    with pytest.raises(Unauthorized, match="exp"):
        verify(token)
    with pytest.raises(Unauthorized, match="exp"):
        verify(hs256({"alg": "HS256"}, '{"sub":"ann"}', SECRET))


def test_clocks_may_differ_by_half_a_minute() -> None:
    ends = signed(exp=int(NOW))
    assert verify(ends, now=NOW + SKEW - 1).seconds_left(NOW + SKEW - 1) == 1
    with pytest.raises(Unauthorized, match="expired"):
        verify(ends, now=NOW + SKEW)
    begins = signed(nbf=int(NOW))
    assert verify(begins, now=NOW - SKEW)
    with pytest.raises(Unauthorized, match="not valid yet"):
        verify(begins, now=NOW - SKEW - 1)


@pytest.mark.parametrize("nbf", ["soon", True, [], "NaN"])
def test_a_beginning_that_is_none_is_refused(nbf: Any) -> None:
    with pytest.raises(Unauthorized, match="not valid yet"):
        verify(signed(nbf=nbf))


@pytest.mark.parametrize("aud", [None, "them", ["them"], 7, [7], ""])
def test_a_token_for_somebody_else_is_refused(aud: Any) -> None:
    with pytest.raises(Unauthorized, match="aud"):
        verify(signed(aud=aud), Expected(audience="us"))


@pytest.mark.parametrize("aud", ["us", ["them", "us"]])
def test_a_token_for_us_is_taken_and_without_an_audience_any(aud: Any) -> None:
    assert verify(signed(aud=aud), Expected(audience="us"))
    assert verify(signed(aud=aud))


def test_the_issuer_is_looked_at_where_it_is_set() -> None:
    assert verify(signed(iss="https://us"), Expected(issuer="https://us"))
    assert verify(signed(iss="https://them"))
    for iss in (None, "https://them", "", 7, ["https://us"]):
        token = hs256({"alg": "HS256"}, claims_of(NOW, iss=iss), SECRET)
        with pytest.raises(Unauthorized, match="iss"):
            verify(token, Expected(issuer="https://us"))


@pytest.mark.parametrize(
    "own", [None, 7, [], "x", {"publish": "*", "subscribe": {"*": 1}, "admin": "yes"}, {"admin": 1}]
)
def test_claims_that_say_nothing_allow_nothing(own: Any) -> None:
    grant = verify(signed(gapless=own))
    assert grant == Grant("ann", expires=NOW + 60)


# --- tickets

BEARER = Grant("ann", ("*",), ("*",), admin=True, expires=NOW + 7200)


def test_a_ticket_reads_its_channels_and_does_nothing_else() -> None:
    ticket, ends = make_ticket(BEARER, ["a", "b"], SECRET, NOW)
    assert ends == NOW + TICKET_SECONDS == NOW + 900
    assert verify_ticket(ticket, SECRET, NOW) == Grant("ann", (), ("a", "b"), admin=False, expires=ends - SKEW)


def test_a_ticket_ends_to_the_second_and_so_do_its_streams() -> None:
    ticket, ends = make_ticket(BEARER, ["a"], SECRET, NOW)
    assert verify_ticket(ticket, SECRET, ends - 0.5).seconds_left(ends - 0.5) == 0.5
    for late in (ends, ends + 1):
        with pytest.raises(Unauthorized, match="ended"):
            verify_ticket(ticket, SECRET, late)


def test_a_ticket_does_not_outlive_its_token() -> None:
    _, ends = make_ticket(Grant("ann", subscribe=("*",), expires=NOW + 60), ["a"], SECRET, NOW)
    assert ends == NOW + 60
    for over in (NOW, NOW - SKEW / 2):
        with pytest.raises(Unauthorized, match="expired"):
            make_ticket(Grant("ann", subscribe=("*",), expires=over), ["a"], SECRET, NOW)


def test_nobody_makes_a_ticket_for_what_he_may_not_read() -> None:
    with pytest.raises(Forbidden):
        make_ticket(Grant("ann", ("*",), ("a",), expires=NOW + 60), ["a", "b"], SECRET, NOW)


def test_a_ticket_with_a_star_is_no_pattern() -> None:
    """Channels have no star in their names; a ticket that had one would read more than it names."""
    ticket, _ = make_ticket(BEARER, ["a"], SECRET, NOW)
    with pytest.raises(Forbidden):
        verify_ticket(ticket, SECRET, NOW).must_subscribe(["ab"])


def test_a_ticket_is_no_token_and_a_token_no_ticket() -> None:
    ticket, _ = make_ticket(BEARER, ["a"], SECRET, NOW)
    with pytest.raises(Unauthorized):
        verify(ticket)
    likeness = claims_of(NOW, typ="ticket", channels=["a"])
    for token in (signed(), Secret().sign(likeness), make_ticket(BEARER, ["a"], OTHER_SECRET, NOW)[0]):
        with pytest.raises(Unauthorized):
            verify_ticket(token, SECRET, NOW)


@given(st.integers(0), st.integers(0, 5))
def test_a_ticket_changed_by_a_bit_is_none(where: int, bit: int) -> None:
    ticket, _ = make_ticket(BEARER, ["a"], SECRET, NOW)
    where %= len(ticket)
    changed = ticket[:where] + chr(ord(ticket[where]) ^ 1 << bit) + ticket[where + 1 :]
    with pytest.raises(Unauthorized):
        verify_ticket(changed, SECRET, NOW)
