import pytest
import torch

from optlab.config import ConfigError
from optlab.tasks.recall import Recall


def splits_of(task: Recall):
    data = task.load()
    return data.train, data.val, data.test


def test_who_remembers_the_first_step_is_always_right():
    for split in splits_of(Recall(length=7, symbols=3)):
        assert split.x.shape[1:] == (7, 4)
        assert torch.equal(split.x[:, 0, :3].argmax(1), split.y)
        assert torch.equal(split.x[:, 0].sum(1), torch.ones(len(split)))


def test_later_steps_hold_no_symbol():
    for split in splits_of(Recall()):
        assert split.x[:, 1:, :-1].abs().max() == 0


def test_later_steps_say_nothing_about_the_label():
    task = Recall(rows=8000, length=10)
    train = task.load().train
    noise = torch.cat([train.x[:, 1:, -1], torch.ones(len(train), 1)], dim=1).double()
    wanted = torch.eye(4, dtype=torch.float64)[train.y]
    scores = noise @ torch.linalg.lstsq(noise, wanted).solution
    accuracy = (scores.argmax(1) == train.y).double().mean()
    # chance is 0.25; a fit of 40 weights finds a few of 4800 rows in pure noise
    assert abs(accuracy - 0.25) < 0.05


def test_noise_has_the_deviation_that_was_asked_for():
    x = Recall(noise=0.3).load().train.x[:, 1:, -1]
    # of 22,800 draws the standard deviation is known to 0.5 percent; four times that
    assert x.std().item() == pytest.approx(0.3, rel=0.02)
    assert Recall(noise=0.0).load().train.x[:, 1:].abs().max() == 0


def test_classes_are_equal_in_every_split():
    for split in splits_of(Recall(symbols=5)):
        counts = split.y.bincount(minlength=5)
        assert (counts - len(split) / 5).abs().max() <= 4  # two cuts, each within 2 rows


def test_one_step_is_the_symbol_itself():
    train = Recall(length=1).load().train
    assert train.x.shape[1:] == (1, 5)
    assert torch.equal(train.x[:, 0].argmax(1), train.y)


@pytest.mark.parametrize(
    ("option", "value"), [("length", 0), ("symbols", 1), ("noise", -0.1), ("rows", 4)]
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=rf"{option} must be in .*got {value}"):
        Recall(**{option: value})
