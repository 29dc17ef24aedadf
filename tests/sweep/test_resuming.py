"""Whether a checkpoint was made by this very code, in this very way."""

import importlib
import sys

import pytest

from optlab.sweep.resuming import HELD, origin_of, refusal

CONFIG = {"device": "cpu", "plugins": [], "optimizer": {"name": "adam"}}
OWN = origin_of("native", [CONFIG])
WHOLE = dict.fromkeys(HELD, 0)


def test_what_was_made_here_and_now_is_taken():
    assert refusal({**WHOLE, "origin": {**OWN, "run": "abc"}}, OWN) == ""


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("torch", "1.0", "it was written under PyTorch 1.0, this is"),
        ("optlab", "0.0.1", "it was written under optlab 0.0.1, this is"),
        ("compiler", "cc 1", "it was written under the C compiler cc 1, this is"),
        ("device", "NVIDIA", "it was written under the device NVIDIA, this is cpu"),
        ("code", "0", "it was written by other code: optlab or a plugin has changed since"),
        ("execution", "eager", "its updates were made by 'eager', now by 'native'"),
    ],
)
def test_what_was_made_otherwise_is_refused_with_the_reason(key, value, reason):
    assert refusal({**WHOLE, "origin": {**OWN, key: value}}, OWN).startswith(reason)


@pytest.mark.parametrize("key", HELD)
def test_what_lacks_a_part_is_refused(key):
    content = {**WHOLE, "origin": OWN}
    del content[key]
    assert refusal(content, OWN) == f"it is not whole: it has no {key!r}"


def test_best_weights_that_were_not_kept_cannot_be_asked_for_later():
    content = {**WHOLE, "origin": {**OWN, "weights": "last"}}
    assert "without the best weights" in refusal(content, {**OWN, "weights": "best"})
    assert refusal(content, {**OWN, "weights": "last"}) == ""


def test_the_module_of_a_foreign_optimizer_is_a_part_of_the_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "others_rule.py").write_text("class Rule: ...")
    importlib.import_module("others_rule")
    foreign = {**CONFIG, "optimizer": {"name": "foreign", "target": "others_rule.Rule"}}
    assert origin_of("x", [foreign])["code"] != origin_of("x", [CONFIG])["code"]
    sys.modules.pop("others_rule")
