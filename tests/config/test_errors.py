import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.config import ConfigError, nearest, unknown_name, unknown_option


@pytest.mark.parametrize(
    ("typed", "meant"), [("adm", "adam"), ("ADAM", "adam"), ("rms", "rmsprop")]
)
def test_nearest_puts_the_likely_intention_first(typed: str, meant: str) -> None:
    assert nearest(typed, ["sgd", "rmsprop", "adagrad", "adam", "momentum"])[0] == meant


@given(st.text(max_size=8), st.sets(st.text(max_size=8), max_size=8))
def test_nearest_only_reorders(name: str, known: set[str]) -> None:
    assert sorted(nearest(name, known)) == sorted(known)


@given(st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=8), st.randoms())
def test_nearest_does_not_depend_on_the_order_given(known: set[str], random) -> None:
    shuffled = random.sample(sorted(known), len(known))
    assert nearest("adam", shuffled) == nearest("adam", known)


def test_a_known_name_is_nearest_to_itself() -> None:
    names = ["tanh", "relu", "leaky_relu", "prelu"]
    assert [nearest(name, names)[0] for name in names] == names


def test_unknown_name_is_one_sentence_with_the_known_names() -> None:
    error = unknown_name("optimizer", "adm", ["sgd", "adam"])
    assert str(error) == "unknown optimizer 'adm'; known, nearest first: adam, sgd"
    assert isinstance(error, ConfigError)


def test_unknown_name_says_when_nothing_is_known() -> None:
    assert str(unknown_name("plugin", "x", [])).endswith("nearest first: none")


@pytest.mark.parametrize(
    ("having", "words"),
    [
        (["b"], "b has"),
        (["c", "b"], "b, c have"),
        (["e", "d", "c", "b"], "b, c, d, e have"),
        (["f", "e", "d", "c", "b"], "b, c, d and 2 more have"),
    ],
)
def test_an_option_of_other_choices_is_said_to_be_theirs(having: list[str], words: str) -> None:
    error = unknown_option("model", "a", "gain", ["layers", "gin"], having)
    assert str(error) == (
        f"model=a has no option 'gain' ({words}); its options, nearest first: gin, layers"
    )
    assert isinstance(error, ConfigError)


def test_an_option_of_no_choice_is_unknown() -> None:
    error = unknown_option("model", "a", "gain", ["layers", "gin"], [])
    assert str(error) == "unknown option of model 'gain'; known, nearest first: gin, layers"


def test_config_error_is_a_value_error() -> None:
    assert issubclass(ConfigError, ValueError)
