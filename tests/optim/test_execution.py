"""When kernels are used, when not and why, and that a user sees no difference but time."""

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from optlab import compiler
from optlab.compiler import NoCompiler
from optlab.config import ConfigError
from optlab.optim import SGD, Adam, Muon, RuleOptimizer
from optlab.optim.fast import CompiledGroup, group, kernel
from optlab.registry import optimizers
from tests.optim.networks import network, random, train

CLASSES = {make: pytest.param(make, id=name) for name, make in optimizers.items()}
every_elementwise_class = pytest.mark.parametrize(
    "make", [case for make, case in CLASSES.items() if make.rule.elementwise]
)


def ready(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    params = [nn.Parameter(random(*shape, seed=i).to(dtype)) for i, shape in enumerate(shapes)]
    for index, param in enumerate(params):
        param.grad = random(*param.shape, seed=50 + index).to(dtype)
    return params


@every_elementwise_class
def test_elementwise_rules_are_compiled(make: type[RuleOptimizer]) -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        optimizer = make(ready((3,), (), dtype=dtype), fast=True)
        optimizer.step()
        assert optimizer.eager_reasons == [""]


def test_each_group_says_why_it_is_eager() -> None:
    first, second, third = ready((3,), (4,), (5,))
    groups = [
        {"params": first},
        {"params": second, "fast": False},
        {"params": third, "capturable": True},
    ]
    optimizer = Adam(groups)
    optimizer.step()
    compiled, forbidden, capturable = optimizer.eager_reasons
    assert (compiled, forbidden) == ("", "fast=False")
    assert capturable.startswith("capturable=True")


def without_compiler(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise NoCompiler("no compiler on PATH")

    patch.setattr(group, "gatherer", refuse)


def test_without_a_compiler_the_update_is_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    without_compiler(monkeypatch)
    params, same = ready((3, 2), ()), ready((3, 2), ())
    optimizer, eager = SGD(params, lr=0.5), SGD(same, lr=0.5, fast=False)
    optimizer.step()
    eager.step()
    assert optimizer.eager_reasons == ["no compiler on PATH"]
    assert all(map(torch.equal, params, same))


def test_fast_asked_for_and_not_possible_is_an_error_before_anything_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_compiler(monkeypatch)
    (param,) = ready((3,))
    before = param.detach().clone()
    with pytest.raises(ConfigError, match=r"fast=True is not possible: no compiler on PATH"):
        SGD([param], fast=True).step()
    assert torch.equal(param, before)


def test_parameters_that_are_not_on_the_cpu_are_eager() -> None:
    param = nn.Parameter(torch.ones(3, device="meta"))
    param.grad = torch.ones(3, device="meta")
    optimizer = SGD([param])
    optimizer.step()
    (reason,) = optimizer.eager_reasons
    assert reason == "kernels are for tensors on the CPU or a CUDA device, these are on meta"


def test_parameters_that_move_are_looked_at_again() -> None:
    param = nn.Parameter(torch.ones(3, device="meta"))
    optimizer = SGD([param], lr=0.5)
    param.grad = torch.ones(3, device="meta")
    optimizer.step()
    assert optimizer.execution.startswith("eager")
    optimizer.param_groups[0]["params"][0] = param = nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    optimizer.step()
    assert optimizer.execution == "compiled"
    assert param.tolist() == [0.5] * 3


def test_a_schedule_compiles_nothing_and_looks_for_nothing_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    optimizer = Adam(ready((3,), (4, 2)), lr=0.1)
    optimizer.step()
    made: list[Any] = []
    for owner, name in ((kernel, "record"), (compiler, "_compile"), (CompiledGroup, "__init__")):
        monkeypatch.setattr(owner, name, lambda *_, name=name: made.append(name))
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=30)  # moves betas too
    for _ in range(20):
        optimizer.step()
        schedule.step()
    optimizer.param_groups[0]["eps"] = 0.5
    optimizer.step()
    assert made == []


@pytest.mark.parametrize("lr", [0.25, torch.tensor(0.25), torch.tensor([0.25]).double()])
def test_tensor_and_number_give_the_same_bits(lr: Any) -> None:
    results = []
    for chosen, fast in ((0.25, False), (lr, False), (lr, None)):
        params = ready((40,))
        optimizer = SGD(params, lr=chosen, fast=fast)
        for _ in range(3):
            optimizer.step()
        results.append(params[0])
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_threads_do_not_change_a_bit() -> None:
    shapes = [(100_003,), (7,), (50_001,), (), (0,), (200, 333)]
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            params = ready(*shapes)
            optimizer = Adam(params)
            for _ in range(2):
                optimizer.step()
            results.append(params)
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_parameters_on_one_memory_are_updated_one_after_the_other() -> None:
    memory = random(300_000)
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            data = memory.clone()
            params = [nn.Parameter(data[:200_000]), nn.Parameter(data[100_000:])]
            optimizer = SGD(params, lr=0.5, weight_decay=0.5, fast=True)
            for step in range(3):
                for index, param in enumerate(params):
                    param.grad = random(*param.shape, seed=step + 10 * index)
                optimizer.step()
            results.append(data)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


def test_autograd_notices_that_a_kernel_wrote() -> None:
    model, x = network(), random(8, 4).requires_grad_()
    optimizer = SGD(model.parameters(), fast=True)
    loss = model(x).square().mean()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.filterwarnings("ignore:.*Profiler clears events:UserWarning")
@pytest.mark.parametrize("fast", [False, None])
def test_profilers_see_the_step(fast: bool | None) -> None:
    model = network()
    optimizer = SGD(model.parameters(), fast=fast)
    train(model, optimizer, steps=1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        optimizer.step()
    assert "Optimizer.step#SGD.step" in {event.key for event in profile.key_averages()}


def test_global_hooks_run() -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook

    seen: list[Any] = []
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: seen.append(optimizer))
    try:
        optimizer = SGD(ready((3,)))
        optimizer.step()
    finally:
        handle.remove()
    assert seen == [optimizer]


def test_swapped_tensors_are_found_again() -> None:
    (param,), (other,) = ready((3,)), ready((3,))
    optimizer, expected = SGD([param], lr=0.5, fast=True), SGD([other], lr=0.5, fast=False)
    optimizer.step()
    expected.step()
    param.grad = other.grad = None
    new = nn.Parameter(torch.full((3,), 7.0))
    other.data.fill_(7.0)
    torch.utils.swap_tensors(param, new)
    del new
    param.grad, other.grad = torch.ones(3), torch.ones(3)
    optimizer.step()
    expected.step()
    assert torch.equal(param, other)


def test_the_choice_survives_copies_and_is_not_saved() -> None:
    optimizer = SGD(ready((3,)), fast=False)
    twin = copy.deepcopy(optimizer)
    twin.step()
    assert twin.eager_reasons == ["fast=False"]
    assert "fast" not in optimizer.state_dict()["param_groups"][0]
    other = SGD(ready((3,)))
    other.load_state_dict(optimizer.state_dict())
    other.step()
    assert other.eager_reasons == [""]


def test_capturable_counters_are_tensors_on_the_device() -> None:
    params, plain = ready((3, 2)), ready((3, 2))
    optimizer, reference = Adam(params, capturable=True), Adam(plain, fast=False)
    for _ in range(4):
        optimizer.step()
        reference.step()
    # Powers of beta by torch's pow and by Python's differ in the last bit of float64.
    torch.testing.assert_close(params, plain, rtol=1e-6, atol=1e-7)
    assert optimizer.state[params[0]]["step"].item() == 4.0


def test_a_capturable_step_asks_no_tensor_for_its_value() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class NoValues(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            assert "_local_scalar_dense" not in str(func)
            return func(*args, **(kwargs or {}))

    for make in {make: None for _, make in optimizers.items()}:
        optimizer = make(ready((4, 3), (3,)), capturable=True)
        optimizer.step()
        with NoValues():
            optimizer.step()


@pytest.mark.parametrize("emptied", [lambda o: o.state.clear(), None])
def test_states_emptied_by_a_user_begin_anew(emptied: Any) -> None:
    def empty(optimizer: RuleOptimizer) -> None:
        for state in optimizer.state.values():
            state.clear()

    results = []
    for fast in (True, False):
        params = ready((3,), (2, 2))
        optimizer = Adam(params, lr=0.1, fast=fast)
        for step in range(4):
            if step == 2:
                (emptied or empty)(optimizer)
            optimizer.step()
        results.append(params)
    # The square roots of the eager update may be off in their last bit.
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("make", [SGD, Adam])
def test_entries_that_a_user_adds_to_a_state_stay_as_they_are(make: type[RuleOptimizer]) -> None:
    params = ready((3,), (2, 2))
    optimizer = make(params, fast=True)
    optimizer.step()
    optimizer.state[params[0]]["mine"] = torch.full((3,), 7.0)
    optimizer.state[params[1]]["note"] = "frozen soon"
    optimizer.step()
    assert optimizer.state[params[0]]["mine"].tolist() == [7.0] * 3
    assert optimizer.state[params[1]]["note"] == "frozen soon"
    assert optimizer.execution == "compiled"


def test_an_option_that_needs_other_entries_may_be_switched_in_the_middle() -> None:
    (param,) = ready((4, 3))
    optimizer = Muon([param], orthogonalize=False)
    optimizer.step()
    optimizer.param_groups[0]["orthogonalize"] = True
    before = param.detach().clone()
    optimizer.step()
    assert "momentum_buffer" in optimizer.state[param]
    assert not torch.equal(param, before)


def test_a_step_under_autocast_has_the_precision_of_its_tensors() -> None:
    (inside,), (outside,) = ready((8, 8)), ready((8, 8))
    for param, enabled in ((inside, True), (outside, False)):
        optimizer = Muon([param])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            optimizer.step()
    assert torch.equal(inside, outside)


@pytest.mark.parametrize("fast", [False, None])
def test_a_rate_that_changes_in_every_step_is_used_at_once(fast: bool | None) -> None:
    (param,) = ready((1,))
    optimizer = SGD([param], lr=1.0, fast=fast)
    param.data.zero_()
    param.grad = torch.ones(1)
    for lr in (1.0, 0.5, 0.25, 0.0, 0.125):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    assert param.item() == -1.875
