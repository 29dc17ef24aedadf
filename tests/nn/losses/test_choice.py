"""The notes' table of losses (LOS-14)."""

import pytest

from optlab.config import ConfigError
from optlab.nn.losses import select_loss
from optlab.registry import losses


@pytest.mark.parametrize(
    ("kind", "outliers", "name", "head"),
    [
        ("regression", False, "mse", "identity"),
        ("regression", True, "mae", "identity"),
        ("binary", False, "bce", "sigmoid"),
        ("multiclass", False, "sparse_cce", "softmax"),
    ],
)
def test_recommended_loss_and_its_head(kind, outliers, name, head):
    assert select_loss(kind, outliers) == name
    assert losses.create(name, {}).head == head


def test_unknown_kind_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown kind of task 'multi'; .*multiclass"):
        select_loss("multi")
