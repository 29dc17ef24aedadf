"""Whether a checkpoint was made by this very code, in this very way."""

import pytest

from optlab.sweep.resuming import origin_of, refusal

OWN = origin_of("native", [])


def test_what_was_made_here_and_now_is_taken():
    assert refusal({"origin": {**OWN, "run": "abc"}}, OWN) == ""


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("torch", "1.0", "it was written under PyTorch 1.0, this is"),
        ("optlab", "0.0.1", "it was written under optlab 0.0.1, this is"),
        ("compiler", "cc 1", "it was written under the C compiler cc 1, this is"),
        ("code", "0", "it was written by other code: optlab or a plugin has changed since"),
        ("execution", "eager", "its updates were made by 'eager', now by 'native'"),
    ],
)
def test_what_was_made_otherwise_is_refused_with_the_reason(key, value, reason):
    assert refusal({"origin": {**OWN, key: value}}, OWN).startswith(reason)
