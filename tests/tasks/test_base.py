import torch

from optlab.tasks import Data, Split


def small_data() -> Data:
    labels = Split(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
    return Data(labels, labels, labels, num_classes=2, notes={"seen": 1.0})


def test_to_changes_floating_tensors_and_keeps_class_numbers():
    data = small_data().to(torch.device("cpu"), torch.float64)
    assert data.train.x.dtype == torch.float64
    assert data.train.y.dtype == torch.int64
    assert (data.num_classes, data.notes) == (2, {"seen": 1.0})


def test_to_changes_real_targets_too():
    split = Split(torch.zeros(3, 2), torch.zeros(3, 1)).to(torch.device("cpu"), torch.float64)
    assert split.y.dtype == torch.float64


def test_input_shape_leaves_out_the_row_axis():
    assert small_data().input_shape == (2,)
    assert len(small_data().train) == 3
