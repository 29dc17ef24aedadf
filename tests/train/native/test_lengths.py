"""Norms in one call, against PyTorch's of each tensor."""

import numpy as np
import pytest
import torch

from optlab.train.native import lengths as module
from optlab.train.native.lengths import lengths


@pytest.fixture(params=["compiled", "PyTorch"])
def by(request, monkeypatch):
    if request.param == "PyTorch":
        monkeypatch.setattr(module, "_function", lambda: None)
    return request.param


def tensors(*sizes, dtype=torch.float32):
    return [torch.randn(size, dtype=dtype) for size in sizes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_norms_are_those_of_each_tensor_in_double(by, dtype):
    given = tensors(1, 7, 64, 4096, 0, dtype=dtype)
    expected = [float(t.double().norm()) for t in given]
    assert lengths(given) == pytest.approx(expected, rel=1e-12)


def test_the_last_ones_are_differences(by):
    given, minus = tensors(3, 5, 9, dtype=torch.float64), tensors(5, 9, dtype=torch.float64)
    expected = [given[0].norm(), (given[1] - minus[0]).norm(), (given[2] - minus[1]).norm()]
    assert lengths(given, minus) == pytest.approx([float(e) for e in expected], rel=1e-12)


def test_tensors_need_not_lie_in_order(by):
    square = torch.arange(12.0).view(3, 4)
    expected = np.sqrt(sum(x * x for x in (1.0, 5.0, 9.0)))
    assert lengths([square.T, square[:, 1]])[1] == pytest.approx(expected)


def test_no_number_depends_on_the_other_tensors():
    given = tensors(4096, 3, 517)
    assert lengths(given).tolist() == [lengths([t]).item() for t in given]


def test_numbers_that_are_not_finite_and_large_ones_keep_their_meaning(by):
    bad = [torch.tensor([1.0, float(x)]) for x in ("nan", "inf")]
    found = lengths([*bad, torch.full((4,), 1e30)])
    assert np.isnan(found[0])
    assert np.isinf(found[1])
    assert found[2] == pytest.approx(2e30)


def test_nothing_has_no_lengths():
    assert lengths([]).tolist() == []
