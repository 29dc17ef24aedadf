"""What a record says of an error: storable, printable, and where it came from."""

import json

import pytest

from optlab.config import ConfigError
from optlab.results import result_from_text
from optlab.sweep.cause import MAX_LENGTH, cause_of


class Unsayable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def raised(error):
    """Return the cause of an error as it is after it was raised here."""
    try:
        raise error
    except BaseException as caught:
        return cause_of(caught)


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (ValueError("no such thing"), "ValueError: no such thing (test_cause.py, line "),
        (ValueError("one\ntwo"), "ValueError: one (test_cause.py, line "),
        (MemoryError(), "MemoryError (test_cause.py, line "),
        (SystemExit(3), "SystemExit: the run's own code called sys.exit(3) (test_cause.py, "),
        (Unsayable(), "Unsayable: it cannot be put into words (RuntimeError) (test_cause.py, "),
    ],
)
def test_it_begins_with_kind_text_and_place(error, start):
    assert raised(error).startswith(start)


def test_the_place_ends_the_first_line_and_the_rest_follows():
    assert raised(ValueError("one\ntwo")).splitlines()[1] == "two"


def test_a_users_mistake_is_told_by_its_text_alone():
    assert raised(ConfigError("lr must be positive")) == "lr must be positive"


def test_an_error_from_our_code_alone_has_no_place():
    with pytest.raises(json.JSONDecodeError) as caught:
        result_from_text("nothing")
    error = caught.value.with_traceback(caught.value.__traceback__.tb_next)
    assert cause_of(error) == f"JSONDecodeError: {error}"


def test_any_text_can_be_stored_and_a_long_one_is_cut():
    assert raised(ValueError("a\udcffb")).startswith("ValueError: a\\udcffb (")
    cause = raised(ValueError("x" * 10**6))
    assert MAX_LENGTH < len(cause) < MAX_LENGTH + 100
    assert "characters)" in cause
    assert json.loads(json.dumps(cause)) == cause
