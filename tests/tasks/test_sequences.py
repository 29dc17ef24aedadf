import pytest
import torch

from optlab.config import ConfigError
from optlab.tasks.sequences import Copy, Reversal

every_task = pytest.mark.parametrize("task", [Copy, Reversal], ids=lambda task: task.__name__)


def splits_of(task):
    data = task.load()
    return data.train, data.val, data.test


def said(task, heard: list[int]) -> list[int]:
    """Return the answer by hand: a queue gives a sequence back as it was, a stack backwards."""
    memory = list(heard)
    return [memory.pop(0 if task is Copy else -1) for _ in heard]


@every_task
def test_a_queue_copies_and_a_stack_reverses(task):
    for split in splits_of(task(length=5, symbols=3, rows=200)):
        for x, y in zip(split.x.tolist(), split.y.tolist(), strict=True):
            assert y == said(task, x[:5])


@every_task
def test_blanks_are_heard_while_the_answer_is_said(task):
    data = task(length=6, symbols=4).load()
    assert (data.vocabulary, data.num_classes, data.target_steps) == (5, 4, 6)
    for split in (data.train, data.val, data.test):
        assert split.x.shape[1:] == (12,)
        assert (split.x[:, 6:] == 4).all()
        assert split.x[:, :6].max() == 3


@every_task
def test_symbols_are_as_frequent_at_every_step(task):
    for step in task().load().train.y.unbind(1):
        # 1200 rows, 150 of each of 8 symbols: five deviations of a count
        assert (step.bincount(minlength=8) - 150).abs().max() < 5 * (1200 * 7 / 64) ** 0.5


@every_task
def test_no_test_sequence_was_trained_on(task):
    splits = splits_of(task(length=3, symbols=4, rows=64))
    assert len(torch.cat([split.x for split in splits]).unique(dim=0)) == 64


@every_task
def test_more_rows_than_sequences_are_refused(task):
    with pytest.raises(ConfigError, match=r"rows must be at most 16.*got 2000 \(task\.rows\)"):
        task(length=4, symbols=2).load()


@every_task
@pytest.mark.parametrize(("option", "value"), [("length", 0), ("symbols", 1), ("rows", 4)])
def test_options_out_of_range_are_refused(task, option, value):
    with pytest.raises(ConfigError, match=rf"{option} must be in .*got {value}"):
        task(**{option: value})
