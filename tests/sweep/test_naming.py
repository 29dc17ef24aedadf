"""Names of run folders: short, in order, inside their folder, unique."""

from hypothesis import given
from hypothesis import strategies as st

from optlab.sweep.naming import MAX_BYTES, folder_name


def test_a_name_is_what_varies_in_the_order_it_was_typed():
    words = ["task=digits", "optimizer=adam", "optimizer.lr=0.01", "seed=0"]
    assert folder_name(words, ["task"]) == "optimizer=adam,lr=0.01,seed=0"


def test_keys_with_the_same_end_stay_apart():
    words = ["model.name=mlp", "task.name=digits", "+x.y=1"]
    assert folder_name(words, []) == "model.name=mlp,task.name=digits,y=1"


def test_a_run_without_varying_keys_still_has_a_name():
    assert folder_name(["seed=3"], ["seed"]) == "run"


def test_a_value_cannot_leave_the_folder():
    name = folder_name(["task.root=../../evil", "seed=0"], [])
    assert "/" not in name
    assert name.startswith("root=.._.._evil,seed=0-")


@given(st.lists(st.text(min_size=1), min_size=1, max_size=40, unique=True))
def test_names_are_short_and_as_different_as_what_they_stand_for(values):
    names = [folder_name([f"task.root={value}"], []) for value in values]
    assert len(set(names)) == len(values)
    assert all(len(name.encode(errors="replace")) <= MAX_BYTES for name in names)
    assert not any("/" in name for name in names)
