"""What the class promises as a `torch.optim.Optimizer`, as far as its rule can break it."""

import io
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from optlab.check.case import Case, distance, parameters, random, set_gradients, without_decay
from optlab.check.promise import expect, promise

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@promise(
    "a parameter without a gradient is left alone",
    mend="let update do everything; a class needs no step() of its own",
)
def leaves_idle_parameters_alone(case: Case) -> None:
    """Frozen layers keep their values, also under decay, and have no state."""
    still, moving = parameters((3,), (3,))
    before, start = still.detach().clone(), moving.detach().clone()
    optimizer = case.new([still, moving], weight_decay=0.5)
    for seed in range(2):
        moving.grad = random(3, seed=seed)
        optimizer.step()
    expect(torch.equal(still, before), "the idle parameter as it was", distance(still, before))
    expect(still not in optimizer.state, "no state of the idle parameter", "one")
    expect(not torch.equal(moving, start), "the other one moved", "it did not")


@promise(
    "a parameter whose gradient comes late starts like a new one",
    mend="keep counters and averages in the state of each tensor, none outside",
)
def starts_late_parameters_anew(case: Case) -> None:
    """Layers may be unfrozen in the middle of a training."""
    early, late, fresh = parameters((3,), (4,), (4,))
    fresh.data.copy_(late.data)
    optimizer = case.new([early, late])
    for step in range(5):
        set_gradients([early], seed=step)
        optimizer.step()
    new = case.new([fresh])
    set_gradients([late], seed=9)
    set_gradients([fresh], seed=9)
    optimizer.step()
    new.step()
    expect(torch.equal(late, fresh), "the first step of a new one", distance(late, fresh))


@promise(
    "every parameter group has its own learning rate",
    mend="read hyper.lr in update, and nothing outside",
)
def reads_the_groups_learning_rate(case: Case) -> None:
    """Groups move as if each had an optimizer for itself, and the rates make a difference."""
    params, alone, slow = (parameters((3,), (4,)) for _ in range(3))
    grouped = case.new([{"params": params[:1], "lr": 0.5}, {"params": params[1:]}], lr=0.01)
    separate = [case.new(alone[:1], lr=0.5), case.new(alone[1:], lr=0.01)]
    slower = case.new(slow, lr=0.01)
    for step in range(3):
        for own in (params, alone, slow):
            set_gradients(own, seed=step)
        for optimizer in (grouped, *separate, slower):
            optimizer.step()
    for together, apart in zip(params, alone, strict=True):
        expect(torch.equal(together, apart), "the path alone", distance(together, apart))
    expect(not torch.equal(params[0], slow[0]), "another path at lr=0.5 than at 0.01", "the same")


@promise(
    "every floating dtype is kept, with state in float32 or wider",
    mend="make states with torch.zeros_like(param) and no dtype of your own",
)
def keeps_dtypes(case: Case) -> None:
    """float16 and bfloat16 parameters reach the rule as float32."""
    for dtype in DTYPES:
        params = parameters((3, 2), (), (0,), dtype=dtype)
        optimizer = case.new(params)
        for step in range(3):
            set_gradients(params, seed=step)
            optimizer.step()
        wide = dtype if dtype in (torch.float32, torch.float64) else torch.float32
        places = {(p.dtype, p.device.type) for p in params}
        expect(places == {(dtype, "cpu")}, f"{dtype} on the CPU", str(places))
        kept = _entries_besides_scalars(case, optimizer)
        expect(kept <= {wide}, f"state in {wide} for {dtype}", str(kept))
        finite = all(bool(p.isfinite().all()) for p in params)
        expect(finite, f"finite {dtype} parameters", "nan or inf")


@promise(
    "a zero gradient in float16 gives no nan",
    mend="add eps to the divisor: 0 / 0 is nan; eps reaches the rule in float32",
)
def survives_zero_gradients_in_half_precision(case: Case) -> None:
    """It does in torch's Adam: its eps of 1e-8 is 0 in float16."""
    param = nn.Parameter(torch.ones(3, dtype=torch.float16))
    param.grad = torch.zeros(3, dtype=torch.float16)
    options: dict[str, Any] = without_decay(case.rule.hyper)
    case.new([param], **options).step()
    expect(param.tolist() == [1.0] * 3, "1 as before", str(param.tolist()))


@promise(
    "the order of elements in memory changes nothing",
    mend="use reshape and flatten, which take any tensor, rather than view and storage",
    mends_errors=True,
)
def takes_strided_parameters(case: Case) -> None:
    """Transposed and channels-last parameters are not contiguous."""
    (plain,) = parameters((4, 3))
    strided = nn.Parameter(plain.detach().t().contiguous().t())
    for param in (plain, strided):
        optimizer = case.new([param])
        for step in range(3):
            set_gradients([param], seed=step)
            optimizer.step()
    # PyTorch's square roots may differ in the last bit between strides, and from a kernel's.
    close = torch.allclose(plain, strided, rtol=1e-5, atol=1e-6)
    expect(close, "the path of a contiguous parameter", distance(plain, strided))


@promise(
    "a resumed run equals an uninterrupted one, bit for bit",
    mend="keep everything that changes in the state, as tensors; nothing else is saved",
)
def resumes(case: Case) -> None:
    """Through a file that `torch.load` reads with ``weights_only=True``."""
    params, resumed = parameters((3,), (2, 2)), parameters((3,), (2, 2))
    whole, before, after = (case.new(p) for p in (params, resumed, resumed))
    for step in range(8):
        set_gradients(params, seed=step)
        whole.step()
    for step in range(8):
        if step == 4:
            after.load_state_dict(_through_a_file(before.state_dict()))
        set_gradients(resumed, seed=step)
        (before if step < 4 else after).step()
    for a, b in zip(params, resumed, strict=True):
        expect(torch.equal(a, b), "the uninterrupted path", distance(a, b))


def _entries_besides_scalars(case: Case, optimizer: torch.optim.Optimizer) -> set[torch.dtype]:
    states: Sequence[dict[str, Tensor]] = list(optimizer.state.values())
    return {t.dtype for s in states for n, t in s.items() if n not in case.rule.scalars}


def _through_a_file(saved: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded
