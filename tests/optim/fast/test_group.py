"""Which tensors of a group go through kernels, and where their scalars are."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._mode_utils import no_dispatch

from optlab.optim import SGD, NAdam
from optlab.optim.fast.group import _bring_scalars
from tests.optim.networks import random


class Wrapped(Tensor):
    """A tensor whose operations Python decides, as those of a distributed tensor."""

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with no_dispatch():
            return func(*args, **(kwargs or {}))


def with_gradient(param: Tensor) -> Tensor:
    param.grad = torch.ones_like(param)
    return param


def test_tensors_that_are_not_plain_memory_are_updated_eagerly() -> None:
    plain = with_gradient(nn.Parameter(random(3)))
    wrapped = with_gradient(plain.detach().clone().as_subclass(Wrapped).requires_grad_())
    optimizer = SGD([wrapped], lr=0.5)
    optimizer.step()
    SGD([plain], lr=0.5).step()
    assert optimizer.eager_reasons == ["kernels are for plain tensors, not for Wrapped"]
    assert torch.equal(wrapped.detach().as_subclass(Tensor), plain)


def test_what_cannot_be_compiled_is_updated_beside_what_can() -> None:
    plain, elsewhere = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3, device="meta"))
    optimizer = SGD([with_gradient(plain), with_gradient(elsewhere)], lr=0.5, fast=True)
    optimizer.step()
    assert plain.tolist() == [0.5] * 3


def test_scalars_are_brought_to_the_parameters_device_in_their_dtype() -> None:
    param = nn.Parameter(torch.ones(3, device="meta"))
    states: dict[Tensor, dict[str, Tensor]] = {
        param: {"step": torch.tensor(3.0), "mu_product": torch.tensor(0.5, dtype=torch.float64)}
    }
    _bring_scalars(NAdam.rule, param, states)
    brought = states[param]
    assert {name: (v.device.type, v.dtype) for name, v in brought.items()} == {
        "step": ("meta", torch.float32),
        "mu_product": ("meta", torch.float64),
    }


@pytest.mark.parametrize("value", [3.0, 0.5])
def test_scalars_that_are_there_already_are_left_alone(value: float) -> None:
    param, step = nn.Parameter(torch.ones(3)), torch.tensor(value)
    states: dict[Tensor, dict[str, Tensor]] = {param: {"step": step}}
    _bring_scalars(NAdam.rule, param, states)
    assert states[param]["step"] is step
