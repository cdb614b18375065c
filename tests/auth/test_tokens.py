"""Every token is read with suspicion, and every grant is as narrow as its claims."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.auth.grant import SKEW, Grant
from gapless.auth.key_set import read_key
from gapless.auth.tokens import TOKEN_MAX, Expected, Unverified, key_id, make_token, verify_published, verify_shared
from gapless.log.errors import Unauthorized
from tests.testkit import strategies as some
from tests.testkit.forge import SECRET, Published, Secret, claims_of, hs256, unsigned

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
    grant = verify_published(signer.sign(claims_of(NOW)), read_key(signer.jwk), ANYTHING, NOW)
    assert grant == Grant("ann", ("*",), ("*",), expires=NOW + 60)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_an_rsa_key_verifies_all_that_rsa_can_unless_it_says_which(algorithm: str) -> None:
    signer = Published("RSA")
    token = signer.sign(claims_of(NOW), algorithm)
    assert verify_published(token, read_key(signer.jwk), ANYTHING, NOW).user == "ann"
    assert verify_published(token, read_key({**signer.jwk, "alg": algorithm}), ANYTHING, NOW).user == "ann"
    other = "RS256" if algorithm != "RS256" else "PS256"
    with pytest.raises(Unverified):
        verify_published(token, read_key({**signer.jwk, "alg": other}), ANYTHING, NOW)


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
            verify_published(changed, read_key(signer.jwk), ANYTHING, NOW)
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
        verify_published(signer.confuse(claims_of(NOW)), read_key(signer.jwk), ANYTHING, NOW)
    with pytest.raises(Unauthorized):
        verify_published(unsigned(claims_of(NOW)), read_key(signer.jwk), ANYTHING, NOW)
    with pytest.raises(Unauthorized):
        verify_published(signer.sign_by_another(claims_of(NOW)), read_key(signer.jwk), ANYTHING, NOW)


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


# --- how long

DAY = 86_400


def test_a_token_that_ends_too_far_ahead_is_refused() -> None:
    assert verify(signed(exp=int(NOW) + TOKEN_MAX)).expires == NOW + TOKEN_MAX
    for ahead in (TOKEN_MAX + SKEW + 1, 365 * DAY, 10**10):
        with pytest.raises(Unauthorized, match=r"31 days ahead \(GAPLESS_TOKEN_MAX\)"):
            verify(signed(exp=int(NOW + ahead)))
    assert verify(signed(exp=int(NOW) + 365 * DAY), Expected(longest=400 * DAY))
    with pytest.raises(Unauthorized, match=r"0\.5 days ahead"):
        verify(signed(exp=int(NOW) + DAY), Expected(longest=DAY / 2))


@pytest.mark.parametrize("ahead", [60, -3600, 365 * DAY])
def test_an_end_in_milliseconds_is_named(ahead: int) -> None:
    """It would be some fifty thousand years ahead, also where it has passed."""
    with pytest.raises(Unauthorized, match="exp is in milliseconds"):
        verify(signed(exp=int((NOW + ahead) * 1000)))


# --- Cognito's access tokens


def test_a_token_without_an_audience_is_told_what_is_missing() -> None:
    with pytest.raises(Unauthorized, match="needs the claim aud") as plain:
        verify(signed(), Expected(audience="us"))
    assert "Cognito" not in plain.value.detail
    with pytest.raises(Unauthorized, match=r"needs the claim aud.*client_id.*Cognito.*ID token"):
        verify(signed(client_id="us", token_use="access"), Expected(audience="us"))
    assert verify(signed(client_id="us"))
    with pytest.raises(Unauthorized, match="another audience"):
        verify(signed(client_id="us", aud="them"), Expected(audience="us"))
