"""Label encoding and one-hot rows (LOS-09, LOS-10)."""

import pytest
import torch
from torch.nn import functional as oracle

from optlab.config import ConfigError
from optlab.nn.losses import label_encode, one_hot


def test_label_encode_numbers_values_in_order():
    labels, classes = label_encode(["dog", "cat", "dog", "emu"])
    assert labels.tolist() == [1, 0, 1, 2]
    assert labels.dtype == torch.int64
    assert classes == ["cat", "dog", "emu"]


def test_label_encode_takes_a_tensor():
    labels, classes = label_encode(torch.tensor([30, 10, 30]))
    assert [classes[label] for label in labels] == [30, 10, 30]


def test_one_hot_equals_torch_and_has_the_wanted_type():
    labels = torch.tensor([2, 0, 1, 2])
    rows = one_hot(labels, 4, torch.float64)
    assert torch.equal(rows, oracle.one_hot(labels, 4).double())
    assert one_hot(labels, 4).dtype == torch.float32


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_label_outside_is_refused(labels):
    with pytest.raises(ConfigError, match=r"0\.\.2 for 3 classes"):
        one_hot(torch.tensor(labels), 3)


def test_no_labels_make_no_rows():
    assert one_hot(torch.zeros(0, dtype=torch.int64), 3).shape == (0, 3)
