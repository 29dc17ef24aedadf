import numpy as np
import torch

from optlab.optim import SGD
from tests.optim.paths import assert_close, path, random_gradients, start


def test_first_step_by_hand() -> None:
    # w = 1 - 0.25 * 2 = 0.5, exact in binary
    hyper = SGD.rule.hyper(lr=0.25)
    new, state = SGD.rule.update(torch.tensor([2.0]), torch.tensor([1.0]), {}, hyper)
    assert new.tolist() == [0.5]
    assert state == {}


def test_equals_the_formula_in_numpy() -> None:
    grads = random_gradients()
    w, points = start((4, 3)).numpy(), []
    for g in grads.numpy():
        w = w - 0.03 * g
        points.append(w)
    assert_close(path(SGD, grads, lr=0.03), np.array(points), 1e-12)


def test_equals_torch_bit_for_bit() -> None:
    # OPT-02. torch rounds lr * g and the sum together, which is the same where lr * g is exact.
    grads = random_gradients(dtype=torch.float32)
    assert torch.equal(path(SGD, grads, lr=2**-5), path(torch.optim.SGD, grads, lr=2**-5))


def test_equals_torch_with_weight_decay_and_ascent() -> None:
    grads = random_gradients()
    options = {"lr": 0.03, "weight_decay": 0.1, "maximize": True}
    assert_close(path(SGD, grads, **options), path(torch.optim.SGD, grads, **options), 1e-12)
