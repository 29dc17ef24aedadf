from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from optlab.records import SweepRecord
from optlab.report.lint import lines

LINE = ["optimizer=adam,nag", "optimizer.lr=1e-3", "model.hidden=[8,8],[4]"]


def test_lines_are_without_their_folder_and_who_executes_them() -> None:
    typed = (*LINE, "sweep.dir=runs/a", "hydra/sweeper=optlab", "hydra/launcher=optlab", "--extend")
    found = list(lines.lines_of([SweepRecord(Path("runs/a"), (typed, ("seed=1",)), ())]))
    assert found == [(Path("runs/a"), LINE), (Path("runs/a"), ["seed=1"])]


def test_lines_that_follow_a_protocol_have_nothing_to_be_added_to() -> None:
    sweep = SweepRecord(Path("runs/a/rerun"), (("protocol=standard", *LINE),), ())
    assert list(lines.lines_of([sweep])) == []


def test_changes_keep_the_places_of_words_and_append_new_ones() -> None:
    made = lines.changed(LINE, {"optimizer": "sgd", "seed": "range(0,6)", "model.hidden": "[4,4]"})
    assert made == [
        "optimizer=choice(sgd)",
        "optimizer.lr=1e-3",
        "model.hidden=choice([4,4])",
        "seed=range(0,6)",
    ]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("optimizer=adam,nag", {"adam", "nag"}),
        ("optimizer=choice(adam)", {"adam"}),
        ("optimizer=foreign", {"torch.optim.SGD"}),
        ("optimizer=glob(*)", {"adam", "nag", "torch.optim.SGD"}),
        ("seed=0", {"adam", "nag", "torch.optim.SGD"}),
    ],
)
def test_optimizers_of_a_line(word: str, found: set[str]) -> None:
    assert lines.optimizers_in([word], ["adam", "nag", "torch.optim.SGD"]) == found


@pytest.mark.parametrize(
    "value", [None, True, 3, 1e-7, "full", "a b", "it's", "back\\", [64, 32], [-1.2, None]]
)
def test_words_are_read_by_hydra_as_the_values_that_they_were(value: object) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"k={lines.as_word(value)}"])
    read = override.value()
    assert getattr(read, "text", read) == value


@pytest.mark.parametrize(
    ("seeds", "word"), [((0, 1, 2), "range(0,3)"), ((0, 1), "0,1"), ((3, 7, 5), "3,5,7")]
)
def test_seeds_as_a_word(seeds: tuple[int, ...], word: str) -> None:
    assert lines.as_seeds(seeds) == word


def test_commands_are_quoted_and_each_is_there_once() -> None:
    line = (Path("runs/my sweep"), ["seed=range(0,3)"])
    assert lines.extend([line, line]) == (
        "optlab sweep 'seed=range(0,3)' 'sweep.dir='\"'\"'runs/my sweep'\"'\"'' --extend"
    )
    assert lines.resume([Path("a b")]) == "optlab sweep --resume 'a b'"


def test_what_is_trained_anew_goes_beside_the_old_one() -> None:
    made = lines.anew([(Path("runs/a"), ["seed=0"]), (Path("runs/a"), ["seed=1"])])
    assert made == (
        "optlab sweep seed=0 sweep.dir=runs/a_again && "
        "optlab sweep seed=1 sweep.dir=runs/a_again --extend"
    )
