"""A run is known by what of its configuration can change its result."""

import hashlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.identity import OUTCOME_FREE, cell_hash, config_hash, flatten

CONFIG: dict[str, Any] = {
    "seed": 0,
    "device": "cpu",
    "task": {"name": "digits", "val_fraction": 0.2},
    "optimizer": {"name": "adam", "lr": 1e-3, "betas": [0.9, 0.999]},
    "logger": {"tensorboard": True},
}


def test_hash_is_the_sha256_of_the_canonical_json() -> None:
    text = '{"optimizer":{"betas":[0.9,0.999],"lr":0.001,"name":"adam"},"seed":0,'
    text += '"task":{"name":"digits","val_fraction":0.2}}'
    assert config_hash(CONFIG) == hashlib.sha256(text.encode()).hexdigest()[:12]


@given(order=st.permutations(list(CONFIG)), inner=st.permutations(list(CONFIG["optimizer"])))
def test_hash_does_not_depend_on_the_order_of_keys(order: list[str], inner: list[str]) -> None:
    shuffled = {key: CONFIG[key] for key in order}
    shuffled["optimizer"] = {key: CONFIG["optimizer"][key] for key in inner}
    assert config_hash(shuffled) == config_hash(CONFIG)


@pytest.mark.parametrize(
    ("left", "right"), [(1, 1.0), (0.001, 1e-3), (100, 1e2), (0.0, -0.0), ([1, 2], (1.0, 2.0))]
)
def test_hash_does_not_depend_on_how_a_number_is_written(left: object, right: object) -> None:
    assert config_hash({"x": left}) == config_hash({"x": right})


@pytest.mark.parametrize(
    ("left", "right"), [(1, True), (1, "1"), (None, "null"), (0.1, 0.1 + 2**-55), (math.inf, None)]
)
def test_hash_tells_apart_what_differs(left: object, right: object) -> None:
    assert config_hash({"x": left}) != config_hash({"x": right})


def test_hash_changes_with_every_option_but_those_that_cannot_change_the_outcome() -> None:
    for key in flatten(CONFIG):
        section, _, name = key.partition(".")
        changed = {**CONFIG[section], name: "changed"} if name else "changed"
        same = config_hash({**CONFIG, section: changed}) == config_hash(CONFIG)
        assert same == (section in OUTCOME_FREE), key


def test_cell_hash_is_shared_by_seeds_and_only_by_seeds() -> None:
    assert cell_hash({**CONFIG, "seed": 1}) == cell_hash(CONFIG)
    assert cell_hash({**CONFIG, "task": {"name": "moons"}}) != cell_hash(CONFIG)
    assert cell_hash(CONFIG) != config_hash(CONFIG)


def test_flatten_gives_dotted_keys_and_keeps_lists_and_empty_sections() -> None:
    nested = {"a": {"b": {"c": 1}, "d": [1, 2]}, "e": None, "f": {}}
    assert flatten(nested) == {"a.b.c": 1, "a.d": [1, 2], "e": None, "f": {}}
