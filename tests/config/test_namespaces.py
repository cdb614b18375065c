"""GAPLESS_NAMESPACES is checked at the start: what is wrong is said in a sentence. (docs/protocol.md, 8.1)"""

from __future__ import annotations

import pytest

from gapless.api import parts
from gapless.config.settings import EMBEDDED, Settings
from gapless.config.startup import BadSetting, read_settings
from gapless.log.namespaces import Feature, Namespace

WRONG = {
    "no JSON": ("{run: 1}", r"it is not JSON \(.*\); it looks like \{"),
    "a list": ("[]", "it is no object; it looks like"),
    "null": ("null", "it is no object"),
    "too deep": ("[" * 100_000, "it is nested too deep"),
    "a namespace that is none": ('{"run": 1}', "run: .*dictionary"),
    "an unknown member": ('{"run": {"capp": 20}}', r"run\.capp: Extra inputs are not permitted"),
    "too small": ('{"run": {"cap": 19}}', r"run\.cap: Input should be greater than or equal to 20"),
    "too large": ('{"run": {"retention": 31536001}}', r"run\.retention: .*31536000"),
    "below zero": ('{"run": {"rate": -1}}', r"run\.rate: .*0"),
    "no burst": ('{"run": {"burst": 0}}', r"run\.burst: .*1"),
    "a number as text": ('{"run": {"cap": "20"}}', r"run\.cap: .*integer"),
    "a switch as number": ('{"run": {"signals": 1}}', r"run\.signals: .*boolean"),
    "a number as switch": ('{"run": {"cap": true}}', r"run\.cap: .*integer"),
    "not a number": ('{"run": {"rate": NaN}}', "NaN is no number in JSON"),
    "twice": ('{"run": {}, "run": {}}', "'run' stands twice in one object"),
    "twice inside": ('{"run": {"cap": 20, "cap": 30}}', "'cap' stands twice in one object"),
    "a space": ('{"my room": {}}', "'my room' can be no channel's namespace"),
    "a colon": ('{"a:b": {}}', "'a:b' can be no channel's namespace"),
    "a sign first": ('{"-run": {}}', "'-run' can be no channel's namespace"),
    "a line end": ('{"run\\n": {}}', ".* can be no channel's namespace"),
    "too long": ('{"' + "x" * 64 + '": {}}', "'x+' can be no channel's namespace"),
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_in_a_sentence(text: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_NAMESPACES", text)
    with pytest.raises(BadSetting, match=rf"^GAPLESS_NAMESPACES: {sentence}") as refused:
        read_settings()
    assert len(str(refused.value).splitlines()) == 1


def test_what_it_leaves_out_is_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_NAMESPACES", '{"run": {"cap": 20000, "rate": 0, "receipts": true}, "": {}}')
    monkeypatch.setenv("GAPLESS_RETENTION", "60")
    kinds = parts.namespaces(read_settings())
    assert kinds.of("run:42") == Namespace(20_000, 60, 0, 5000, (Feature.RECEIPTS,))
    assert kinds.of("general") == kinds.of("room:1") == Namespace(1000, 60, 200, 5000)


def test_without_it_only_the_embedded_local_run_offers_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts.namespaces(Settings()).of("general").features == tuple(Feature)
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    assert parts.namespaces(Settings()).of("general").features == ()
    for own, offered in (("redis://elsewhere", ()), ("redis://localhost", tuple(Feature))):
        monkeypatch.setenv(EMBEDDED, own)  # as `gapless serve` tells the app of the Valkey that it has started
        assert parts.namespaces(Settings()).of("general").features == offered
    monkeypatch.setenv("GAPLESS_NAMESPACES", "{}")
    assert parts.namespaces(Settings()).of("general").features == ()
    monkeypatch.delenv("REDIS_URL")
    assert parts.namespaces(Settings()).of("general").features == (), "what is set holds for local runs, too"
