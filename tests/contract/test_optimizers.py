"""What every registered optimizer promises as a `torch.optim.Optimizer`, in all of its forms.

What the driver does for all rules alike is in tests/optim/test_torch_optimizer.py.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.contract.forms import OptimizerClass, every_form, random


def set_gradients(params: list[nn.Parameter], seed: int) -> None:
    for index, param in enumerate(params):
        param.grad = random(*param.shape, seed=100 * seed + index, dtype=param.dtype)


def parameters(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    return [nn.Parameter(random(*s, seed=i).to(dtype)) for i, s in enumerate(shapes, start=50)]


@every_form
def test_parameters_without_gradient_are_left_alone(
    make: OptimizerClass, form: dict[str, Any]
) -> None:
    still, moving = parameters((3,), (3,))
    before = still.detach().clone()
    optimizer = make([still, moving], weight_decay=0.5, **form)
    moving.grad = random(3)
    optimizer.step()
    assert torch.equal(still, before)
    assert still not in optimizer.state
    assert not torch.equal(moving, before)


@every_form
def test_a_late_parameter_starts_like_a_new_one(make: OptimizerClass, form: dict[str, Any]) -> None:
    early, late, fresh = parameters((3,), (4,), (4,))
    fresh.data.copy_(late.data)
    optimizer = make([early, late], **form)
    for step in range(5):
        set_gradients([early], seed=step)
        optimizer.step()
    new = make([fresh], **form)
    set_gradients([late], seed=9)
    set_gradients([fresh], seed=9)
    optimizer.step()
    new.step()
    assert torch.equal(late, fresh)


@every_form
def test_a_group_has_its_own_learning_rate(make: OptimizerClass, form: dict[str, Any]) -> None:
    params, alone = parameters((3,), (4,)), parameters((3,), (4,))
    grouped = make([{"params": params[:1], "lr": 0.5}, {"params": params[1:]}], lr=0.01, **form)
    separate = [make(alone[:1], lr=0.5, **form), make(alone[1:], lr=0.01, **form)]
    for step in range(3):
        for own in (params, alone):
            set_gradients(own, seed=step)
        for optimizer in (grouped, *separate):
            optimizer.step()
    assert all(map(torch.equal, params, alone))


@every_form
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
def test_dtype_and_device_are_kept(
    make: OptimizerClass, form: dict[str, Any], dtype: torch.dtype
) -> None:
    params = parameters((3, 2), (), (0,), dtype=dtype)
    optimizer = make(params, **form)
    for step in range(3):
        set_gradients(params, seed=step)
        optimizer.step()
    assert {(p.dtype, p.device.type) for p in params} == {(dtype, "cpu")}
    wide = dtype if dtype in (torch.float32, torch.float64) else torch.float32
    kept = [t for s in optimizer.state.values() for n, t in s.items() if n != "step"]
    assert {t.dtype for t in kept} <= {wide}
    assert all(bool(p.isfinite().all()) for p in params)


@every_form
def test_zero_gradients_in_half_precision_give_no_nan(
    make: OptimizerClass, form: dict[str, Any]
) -> None:
    # torch's Adam does: its eps of 1e-8 is 0 in float16.
    param = nn.Parameter(torch.ones(3, dtype=torch.float16))
    param.grad = torch.zeros(3, dtype=torch.float16)
    make([param], **form).step()
    assert param.tolist() == [1.0, 1.0, 1.0]


@every_form
def test_strided_parameters_move_like_contiguous_ones(
    make: OptimizerClass, form: dict[str, Any]
) -> None:
    (plain,) = parameters((4, 3))
    strided = nn.Parameter(plain.detach().t().contiguous().t())
    assert not strided.is_contiguous()
    for param in (plain, strided):
        optimizer = make([param], **form)
        for step in range(3):
            set_gradients([param], seed=step)
            optimizer.step()
    assert torch.equal(plain, strided)


@every_form
def test_a_resumed_run_equals_an_uninterrupted_one(
    make: OptimizerClass, form: dict[str, Any], tmp_path: Path
) -> None:
    params, resumed = parameters((3,), (2, 2)), parameters((3,), (2, 2))
    whole, before, after = (make(p, **form) for p in (params, resumed, resumed))
    for step in range(8):
        set_gradients(params, seed=step)
        whole.step()
    for step in range(8):
        if step == 4:
            torch.save(before.state_dict(), tmp_path / "state.pt")
            after.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        set_gradients(resumed, seed=step)
        (before if step < 4 else after).step()
    assert all(map(torch.equal, params, resumed))
