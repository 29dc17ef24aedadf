import pytest
import torch

from optlab.config import ConfigError
from optlab.tasks.patterns import Attractor, exact_recall


def splits_of(task):
    data = task.load()
    return data.train, data.val, data.test


def test_targets_are_the_stored_patterns_at_every_asked_step():
    task = Attractor()
    patterns = task.stored()
    assert patterns.shape == (3, 16)
    assert patterns.abs().unique().tolist() == [pytest.approx(0.9)]
    for split in splits_of(task):
        assert split.y.shape == (len(split), 4, 16)
        assert torch.equal(split.y, split.y[:, :1].expand(-1, 4, -1))
        assert torch.equal(split.y[:, 0].unique(dim=0), patterns.unique(dim=0))


def test_as_many_bits_are_flipped_as_were_asked_for():
    train, val, test = splits_of(Attractor(flips=0.1, test_flips=0.3))
    for split, bits in ((train, 2), (val, 2), (test, 5)):  # 1.6 and 4.8 of 16, rounded
        assert ((split.x != split.y[:, 0]).sum(1) == bits).all()
        assert torch.equal(split.x.abs(), split.y[:, 0].abs())


def test_every_bit_is_flipped_as_often():
    train = Attractor(rows=5000, flips=0.25).load().train
    counts = (train.x != train.y[:, 0]).sum(0)
    # 3000 rows with 4 of 16 bits flipped: five deviations of a count
    assert (counts - 750).abs().max() < 5 * (3000 * 3 / 16) ** 0.5


def test_without_flips_a_row_is_its_pattern():
    data = Attractor(flips=0.0, test_flips=0.0).load()
    assert torch.equal(data.train.x, data.train.y[:, 0])
    assert data.notes["nearest_recall"] == 1.0


def test_patterns_are_as_frequent_in_every_split():
    task = Attractor(patterns=5)
    for split in splits_of(task):
        counts = (split.y[:, 0, None] == task.stored()).all(-1).sum(0)
        assert (counts - len(split) / 5).abs().max() <= 4  # two cuts, each within 2 rows


def test_the_nearest_pattern_is_found_by_comparing_bit_by_bit():
    task = Attractor(patterns=8, test_flips=0.4, data_seed=1)
    test, patterns = task.load().test, task.stored()
    right = 0
    for row, target in zip(test.x, test.y[:, 0], strict=True):
        distances = [(row != pattern).sum().item() for pattern in patterns]
        right += torch.equal(patterns[distances.index(min(distances))], target)
    recall = task.load().notes["nearest_recall"]
    assert 1 / 8 < right / len(test) < 1, "the case must be hard, yet not hopeless"
    assert recall == pytest.approx(right / len(test))


def test_notes_hold_chance_and_the_bits_flipped():
    notes = Attractor(patterns=4, flips=0.2, test_flips=0.3).load().notes
    assert notes["chance_recall"] == 0.25
    assert (notes["flipped_bits"], notes["test_flipped_bits"]) == (3, 5)


def rows_of(split):
    return set(map(tuple, split.x.tolist()))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"test_flips": 0.1},  # all splits from one set of damages
        {"rows": 5},
        {"units": 6, "flips": 0.2, "test_flips": 0.2, "patterns": 2},  # 6 damages of 300 rows each
        {"units": 200, "rows": 2000},
    ],
    ids=str,
)
def test_no_other_row_stands_in_training(options):
    data = Attractor(**options).load()
    known = rows_of(data.train)
    assert not known & (rows_of(data.val) | rows_of(data.test))
    assert data.notes["val_rows_in_train"] == data.notes["test_rows_in_train"] == 0


def test_ways_to_damage_repeat_within_a_split_no_more_than_they_must():
    """120 damages of 2 in 16 bits: 90 for 120 training rows of a pattern, 30 for 40 others."""
    data = Attractor().load()
    for split, ways in ((data.train, 90), (data.val, 30)):
        _, counts = split.x.unique(dim=0, return_counts=True)
        assert len(counts) == 3 * ways
        assert counts.max() == 2


def test_notes_say_which_share_of_rows_stands_in_training():
    notes = Attractor(flips=0.0, test_flips=0.1).load().notes
    assert (notes["val_rows_in_train"], notes["test_rows_in_train"]) == (1.0, 0.0)
    # One flip of two bits: each damage of one pattern is one of its negative.
    data = Attractor(units=2, patterns=2, flips=0.4, test_flips=0.4, data_seed=1).load()
    known = rows_of(data.train)
    for name, split in (("val", data.val), ("test", data.test)):
        share = sum(tuple(row) in known for row in split.x.tolist()) / len(split)
        assert data.notes[f"{name}_rows_in_train"] == share > 0


@pytest.mark.parametrize("last_steps", [1, 4])
def test_exact_recall_counts_rows_with_every_sign_right_at_every_step(last_steps):
    y = Attractor(last_steps=last_steps, rows=10).load().train.y
    scores = 0.01 * y
    assert exact_recall(scores, y) == 1
    scores[0].view(-1)[-1] *= -1
    scores[1].view(-1)[0] = 0.0
    scores[2].view(-1)[3] = float("nan")
    assert exact_recall(scores, y) == pytest.approx(0.5)  # three of six rows
    assert exact_recall(-y, y) == 0


def test_the_task_names_what_is_measured_beside_the_loss():
    assert dict(Attractor().metrics) == {"recall": exact_recall}


def test_the_first_units_are_shown_and_the_first_asked_for():
    task = Attractor(input_units=6, target_units=9, flips=0.0, last_steps=2)
    data, patterns = task.load(), task.stored()
    assert data.input_shape == (6,)
    assert data.num_outputs == 9
    assert data.train.y.shape[1:] == (2, 9)
    assert torch.equal(data.train.x, data.train.y[:, 0, :6])
    assert torch.equal(data.train.y[:, 0].unique(dim=0), patterns[:, :9].unique(dim=0))


def test_shown_bits_tell_patterns_apart_however_few():
    for seed in range(20):
        shown = Attractor(patterns=4, input_units=2, data_seed=seed).stored()[:, :2]
        assert len(shown.unique(dim=0)) == 4


def test_one_step_asks_for_the_final_state_alone():
    data = Attractor(last_steps=1).load()
    assert data.target_steps is None
    assert data.train.y.shape == (360, 16)


def test_another_number_of_rows_stores_the_same_patterns():
    assert torch.equal(Attractor(rows=10).stored(), Attractor(flips=0.3).stored())


def test_more_patterns_than_the_shown_bits_can_tell_apart_are_refused():
    with pytest.raises(ConfigError, match=r"patterns must be at most 4.*got 5 \(task\.patterns\)"):
        Attractor(patterns=5, input_units=2)


@pytest.mark.parametrize("option", ["input_units", "target_units"])
def test_more_units_than_a_pattern_has_are_refused(option):
    with pytest.raises(ConfigError, match=rf"{option} must be at most units=16, got 17"):
        Attractor(**{option: 17})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("patterns", 1),
        ("units", 0),
        ("flips", 0.5),
        ("test_flips", -0.1),
        ("input_units", 0),
        ("target_units", 0),
        ("last_steps", 0),
        ("rows", 4),
    ],
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=rf"{option} must be in .*got {value}"):
        Attractor(**{option: value})
