"""YAML section by section, against PyYAML on the whole."""

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optlab.sections import DUMPER, from_yaml, to_yaml

NAMES = st.text("abcxyz_", min_size=1, max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
CONFIGS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=6)


@given(CONFIGS)
def test_the_text_is_that_of_pyyaml_and_reads_back(config: dict[str, Any]) -> None:
    text = to_yaml(config)
    assert text == yaml.dump(config, Dumper=DUMPER, sort_keys=False)
    assert from_yaml(text.encode()) == config


def test_values_that_are_equal_and_of_other_types_are_kept_apart() -> None:
    for value in (1, 1.0, True, "1", 0.0, -0.0, False, math.inf, "inf", None, "null"):
        read = from_yaml(to_yaml({"a": {"b": value}}).encode())["a"]["b"]
        assert repr(read) == repr(value)


def test_equal_sections_of_several_configurations_are_one_object() -> None:
    first, second = (from_yaml(f"seed: {i}\nmodel: {{a: 1}}\n".encode()) for i in range(2))
    assert first["model"] is second["model"]


BY_HAND = {
    "comments": "# a\nseed: 1 # b\n# c\ntask:\n# d\n  name: xor\n",
    "a list below its key": "plugins:\n- a\n- b\nseed: 0\n",
    "a text over lines": 'a: "b\n  c: 2"\nd: |\n  e: 3\nf: 1\n',
    "a text that goes on at the margin": 'a: "b\nc: 2"\n',
    "a list over lines": "a: [1,\n  2]\nb: {c: 1,\n  d: 2}\n",
    "a key twice": "a: 1\nb: 2\na: 3\n",
    "a marker": "---\na: 1\nb: 2\n...\n",
    "another encoding": "a: 1\nb: ü\n".encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbfa: 1\nb: 2\n",
    "Windows lines": "a:\r\n  b: 1\r\nc: 2\r\n",
    "quoted keys": '"a": 1\n? b\n: 2\n',
    "no mapping": "[1, 2]\n",
    "nothing": "",
    "only a comment": "# a\n",
    "a word": "word\n",
}


@pytest.mark.parametrize("content", BY_HAND.values(), ids=BY_HAND)
def test_what_people_write_is_read_as_pyyaml_reads_it(content: str | bytes) -> None:
    whole = content.encode() if isinstance(content, str) else content
    assert from_yaml(whole) == yaml.safe_load(whole)


@pytest.mark.parametrize(
    "content", ["a: [1", "a: 1\n---\nb: 2\n", "a: 1\n b: 2\n", "a: *nowhere\n", "a:\n\tb: 1\n"]
)
def test_what_is_no_yaml_is_an_error(content: str) -> None:
    with pytest.raises(yaml.YAMLError):
        from_yaml(content.encode())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: &x {b: 1}\nc: *x\n", r"an alias, \*x: write out"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  b: 2\n", r"an alias, \*x"),
        ("a: &x [*x]\n", r"an alias, \*x"),
        ("a: " + "[" * 100_000, "more than 40 sections lie in one another"),  # PyYAML in C crashes
        ("a: !!int x\n", "ValueError: invalid literal"),
        ("a: 2020-13-45\n", "ValueError: month must be"),
        ("a: !!bool x\n", "KeyError"),
    ],
)
def test_what_would_grow_or_break_is_an_error(content: str, reason: str) -> None:
    with pytest.raises(yaml.YAMLError, match=reason):
        from_yaml(content.encode())


def test_what_is_written_of_a_list_that_two_sections_share_needs_no_anchor() -> None:
    shared = [1, 2]
    assert to_yaml({"a": shared, "b": shared}) == to_yaml({"a": [1, 2], "b": [1, 2]})
