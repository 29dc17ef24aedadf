import operator

import pytest
import torch

from optlab.tasks.logic import And, Or, Xor


@pytest.mark.parametrize(
    ("task", "gate"), [(And, operator.and_), (Or, operator.or_), (Xor, operator.xor)]
)
def test_labels_are_the_truth_table(task, gate):
    data = task().load()
    assert {tuple(row) for row in data.train.x.tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    for (a, b), label in zip(data.train.x.tolist(), data.train.y.tolist(), strict=True):
        assert label == gate(int(a), int(b))


def test_every_split_is_the_whole_table():
    data = Xor().load()
    for split in (data.val, data.test):
        assert torch.equal(split.x, data.train.x)
        assert torch.equal(split.y, data.train.y)


def separable(task) -> bool:
    """Whether some line on a fine grid of lines classifies all four rows."""
    data = task().load()
    weights = torch.cartesian_prod(*[torch.linspace(-2, 2, 17)] * 3)
    scores = data.train.x @ weights[:, :2].T + weights[:, 2]
    return bool(((scores > 0) == (data.train.y[:, None] == 1)).all(0).any())


def test_a_line_separates_and_and_or_but_not_xor():
    assert separable(And)
    assert separable(Or)
    assert not separable(Xor)
