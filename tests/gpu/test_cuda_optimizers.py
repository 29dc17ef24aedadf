"""Optimizers on a CUDA device: the numbers of the CPU, no waiting, graphs, no races."""

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from optlab.optim import SGD, Adam, NAdam, RuleOptimizer
from optlab.registry import optimizers

pytestmark = [
    pytest.mark.gpu,
    # Torch calls the mode that finds waiting a prototype, once.
    pytest.mark.filterwarnings("ignore:Synchronization debug mode"),
]
CUDA = torch.device("cuda")
SHAPES = [(5,), (), (0,), (7, 3), (2500,), (1024,), (300_001,)]
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
CLASSES = {make: name for name, make in optimizers.items() if make.rule.elementwise}
every_class = pytest.mark.parametrize("make", CLASSES, ids=CLASSES.values())
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)

OptimizerClass = type[RuleOptimizer]


def random_like(param: Tensor, seed: int) -> Tensor:
    """Return numbers that depend on shape and seed alone, not on the device."""
    noise = torch.randn(param.shape, generator=torch.Generator().manual_seed(seed))
    return noise.to(param.device, param.dtype)


def parameters(
    device: str | torch.device, dtype: torch.dtype = torch.float32, shapes: Sequence = SHAPES
) -> list[nn.Parameter]:
    blank = [torch.empty(shape, device=device, dtype=dtype) for shape in shapes]
    return [nn.Parameter(random_like(b, seed=i)) for i, b in enumerate(blank)]


def set_gradients(params: Sequence[nn.Parameter], seed: int) -> None:
    for index, param in enumerate(params):
        param.grad = random_like(param.detach(), seed=100 * seed + index)


def train(optimizer: RuleOptimizer, steps: int, first: int = 1) -> list[Tensor]:
    """Return the parameters after some steps on random gradients."""
    params = optimizer.param_groups[0]["params"]
    for seed in range(first, first + steps):
        set_gradients(params, seed)
        optimizer.step()
    return [param.detach().cpu() for param in params]


@contextmanager
def no_waiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def assert_near(ours: Sequence[Tensor], theirs: Sequence[Tensor], units: float) -> None:
    """Compare within units in the last place of numbers of size 1.

    In float64 powers of a decay near 1 lose some digits where 1 is subtracted from them.
    """
    for a, b in zip(ours, theirs, strict=True):
        tolerance = max(units * torch.finfo(a.dtype).eps, 1e-12)
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@every_dtype
@every_class
def test_a_kernel_gives_the_numbers_of_the_cpus(make: OptimizerClass, dtype: torch.dtype) -> None:
    ours, theirs = (make(parameters(device, dtype), fast=True) for device in (CUDA, "cpu"))
    after = train(ours, steps=5), train(theirs, steps=5)
    assert ours.eager_reasons == [""]
    # Both round every operation correctly; powers and exponentials come from other libraries.
    assert_near(*after, units=2)
    for a, b in zip(*(o.param_groups[0]["params"] for o in (ours, theirs)), strict=True):
        for name, value in theirs.state.get(b, {}).items():
            torch.testing.assert_close(ours.state[a][name].cpu(), value, rtol=1e-5, atol=1e-6)


@every_dtype
@every_class
def test_a_kernel_gives_the_numbers_of_the_eager_update(
    make: OptimizerClass, dtype: torch.dtype
) -> None:
    ours, theirs = (make(parameters(CUDA, dtype), fast=fast) for fast in (True, False))
    # PyTorch divides by a number on CUDA as it multiplies by its inverse: one unit per division.
    assert_near(train(ours, steps=5), train(theirs, steps=5), units=16)


@pytest.mark.parametrize("make", [m for m in CLASSES if m.rule.iterate], ids=lambda m: m.__name__)
def test_the_point_for_evaluation_is_that_of_the_cpu(make: OptimizerClass) -> None:
    ours, theirs = (make(parameters(device), fast=True) for device in (CUDA, "cpu"))
    train(ours, steps=3)
    train(theirs, steps=3)
    assert_near([point.cpu() for point in ours.iterates()], theirs.iterates(), units=8)


def test_counters_live_on_the_device_and_capturable_groups_are_compiled() -> None:
    for capturable in (False, True):
        optimizer = NAdam(parameters(CUDA), fast=True, capturable=capturable)
        train(optimizer, steps=3)
        for state in optimizer.state.values():
            assert state["step"].is_cuda
            assert state["mu_product"].is_cuda
            assert state["step"].item() == 3.0


def test_counters_of_large_tensors_are_read_by_all_blocks_before_they_move() -> None:
    # Every element has the same history: one that saw another counter would differ.
    param = nn.Parameter(torch.ones(50_000_001, device=CUDA))
    small = nn.Parameter(torch.ones(3, device=CUDA))
    optimizer = NAdam([param, small], lr=0.1, fast=True)
    for step in range(20):
        for tensor in (param, small):
            tensor.grad = torch.full_like(tensor, 0.1 * (step + 1))
        optimizer.step()
    assert (param == small[0]).all()
    assert optimizer.state[param]["step"].item() == 20.0


@every_class
def test_a_step_with_a_rate_on_the_device_does_not_wait(make: OptimizerClass) -> None:
    params, twins = parameters(CUDA), parameters(CUDA)
    lr = torch.tensor(0.01, device=CUDA, dtype=torch.float64)
    ours, theirs = make(params, lr=lr, fast=True), make(twins, lr=0.01, fast=True)
    set_gradients(params, seed=1)
    set_gradients(twins, seed=1)
    with no_waiting():
        for _ in range(3):
            ours.step()
    lr.mul_(0.5)
    theirs.step(), theirs.step(), theirs.step()
    theirs.param_groups[0]["lr"] = 0.005
    with no_waiting():
        ours.step()
    theirs.step()
    assert all(map(torch.equal, params, twins))


def captured(step: Callable[[], object]) -> torch.cuda.CUDAGraph:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph


def warm_up(optimizer: RuleOptimizer, steps: int) -> None:
    """Take steps on a stream of their own, as PyTorch asks before a capture."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        train(optimizer, steps)
    torch.cuda.current_stream().wait_stream(stream)


@pytest.mark.parametrize("capturable", [True, False])
@every_class
def test_a_captured_step_counts_and_reads_its_rate_at_every_replay(
    make: OptimizerClass, capturable: bool
) -> None:
    params, twins = parameters(CUDA), parameters(CUDA)
    lr = torch.tensor(0.01, device=CUDA, dtype=torch.float64)
    ours = make(params, lr=lr, capturable=capturable, fast=True)
    theirs = make(twins, lr=0.01, fast=True)
    warm_up(ours, steps=3)
    train(theirs, steps=3)
    set_gradients(params, seed=4)  # at other addresses than those of the warm-up
    graph = captured(ours.step)
    for replay in range(5):
        rate = 0.01 * (replay + 1)
        lr.fill_(rate)
        theirs.param_groups[0]["lr"] = lr.item()
        set_gradients(twins, seed=10 + replay)
        for param, twin in zip(params, twins, strict=True):
            param.grad.copy_(twin.grad)
        graph.replay()
        theirs.step()
    assert all(map(torch.equal, params, twins))
    assert all(map(torch.equal, *(train(o, steps=2, first=50) for o in (ours, theirs))))


@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty")
def test_the_first_step_is_not_captured() -> None:
    optimizer = Adam(parameters(CUDA), fast=True)
    set_gradients(optimizer.param_groups[0]["params"], seed=1)
    with pytest.raises(RuntimeError, match="take one step with all gradients before capturing"):
        captured(optimizer.step)


def test_a_graph_may_be_replayed_after_its_optimizer_has_made_new_tables() -> None:
    params, twins = parameters(CUDA), parameters(CUDA)
    ours, theirs = Adam(params, fast=True), Adam(twins, fast=True)
    train(ours, steps=1)
    train(theirs, steps=1)
    set_gradients(params, seed=2)
    set_gradients(twins, seed=2)
    graph = captured(ours.step)
    extra = parameters(CUDA, shapes=[(8,)])
    set_gradients(extra, seed=3)
    ours.add_param_group({"params": extra})
    graph.replay()
    ours.step()
    theirs.step()
    theirs.step()
    assert all(map(torch.equal, params, twins))


@pytest.mark.parametrize("seed", [0, 1])
def test_gradient_scaling_gives_the_steps_of_the_eager_update(seed: int) -> None:
    results = []
    for fast in (True, False):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).to(CUDA)
        x = torch.randn(32, 8, device=CUDA)
        optimizer = Adam(model.parameters(), lr=0.01, fast=fast)
        scaler = torch.amp.GradScaler("cuda", init_scale=2.0**10, growth_interval=2)
        for step in range(6):
            optimizer.zero_grad()
            with torch.autocast("cuda", torch.float16):
                loss = model(x).float().square().mean()
            scaler.scale(loss * (float("inf") if step == 3 else 1.0)).backward()
            scaler.step(optimizer)
            scaler.update()
        counts = [state["step"].item() for state in optimizer.state.values()]
        results.append(([p.detach().cpu() for p in model.parameters()], counts, scaler.get_scale()))
    (ours, counts, scale), (theirs, their_counts, their_scale) = results
    assert counts == their_counts == [5.0] * 4  # the step with infinite gradients is left out
    assert scale == their_scale
    # Gradients in float16 see the last bits of the parameters.
    assert_near(ours, theirs, units=2000)


def test_a_step_takes_no_memory() -> None:
    params = parameters(CUDA, shapes=[(10_000_000,), (1000,)])
    optimizer = Adam(params, fast=True)
    set_gradients(params, seed=1)
    optimizer.step()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    optimizer.step()
    torch.cuda.synchronize()
    assert torch.cuda.max_memory_allocated() == before


def test_a_loaded_state_goes_on_as_the_saved_one() -> None:
    params = parameters(CUDA)
    optimizer = NAdam(params, fast=True)
    train(optimizer, steps=3)
    copies = [nn.Parameter(param.detach().clone()) for param in params]
    loaded = NAdam(copies, fast=True)
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert all(map(torch.equal, train(optimizer, 2, first=9), train(loaded, 2, first=9)))
    assert all(state["step"].is_cuda for state in loaded.state.values())


def test_a_state_of_the_device_goes_on_on_the_cpu_and_back() -> None:
    first = NAdam(parameters(CUDA), fast=True)
    train(first, steps=2)
    second = NAdam([nn.Parameter(p.detach().cpu()) for p in first.param_groups[0]["params"]])
    second.load_state_dict(first.state_dict())
    train(second, steps=2, first=3)
    third = NAdam([nn.Parameter(p.detach().to(CUDA)) for p in second.param_groups[0]["params"]])
    third.load_state_dict(second.state_dict())
    through = NAdam(parameters(CUDA), fast=True)
    assert_near(train(third, steps=2, first=5), train(through, steps=6), units=4)


def test_gradients_of_another_layout_are_taken_by_the_eager_update() -> None:
    results = []
    for fast in (True, False):
        params = parameters(CUDA, shapes=[(30, 20), (7,)])
        optimizer = Adam(params, lr=0.1, fast=fast)
        for step in range(4):
            set_gradients(params, seed=step)
            if step % 2:
                params[0].grad = params[0].grad.t().contiguous().t()
            optimizer.step()
        assert optimizer.state[params[0]]["step"].item() == 4.0
        results.append([param.detach() for param in params])
    assert_near(*results, units=16)


def test_a_step_may_be_taken_on_any_stream_and_in_any_thread() -> None:
    params, twins = parameters(CUDA), parameters(CUDA)
    ours, theirs = Adam(params, fast=True), Adam(twins, fast=True)
    warm_up(ours, steps=2)
    train(theirs, steps=3)
    set_gradients(params, seed=3)
    thread = threading.Thread(target=ours.step)
    thread.start()
    thread.join()
    torch.cuda.synchronize()
    assert all(map(torch.equal, params, twins))


@pytest.mark.parametrize("count", [100, 1500])
def test_models_of_many_tensors_are_updated_whole(count: int) -> None:
    params = parameters(CUDA, shapes=[(1 + i % 7,) for i in range(count)])
    twins = parameters("cpu", shapes=[(1 + i % 7,) for i in range(count)])
    after = train(Adam(params, fast=True), steps=2), train(Adam(twins, fast=True), steps=2)
    assert_near(*after, units=2)


def test_tensors_that_begin_between_words_are_updated() -> None:
    base = random_like(torch.empty(5000, device=CUDA), seed=1)
    odd, even = nn.Parameter(base[1:].clone()), nn.Parameter(base[1:].clone())
    odd.data = base[1:]
    for param in (odd, even):
        param.grad = torch.ones_like(param)
        SGD([param], lr=0.5, fast=True).step()
    assert odd.data_ptr() % 16 != 0
    assert torch.equal(odd, even)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices")
def test_tensors_on_several_devices_are_updated_where_they_are() -> None:
    params = [nn.Parameter(torch.ones(1000, device=f"cuda:{i}")) for i in range(2)]
    for param in params:
        param.grad = torch.ones_like(param)
    lr = torch.tensor(0.25, device="cuda:1", dtype=torch.float64)
    SGD([*params], lr=lr, fast=True).step()
    assert [set(param.tolist()) for param in params] == [{0.75}, {0.75}]


def test_a_graph_that_would_freeze_a_counter_is_refused() -> None:
    params = parameters(CUDA)
    optimizer = Adam(params, fast=False)
    set_gradients(params, seed=1)
    optimizer.step()
    with pytest.raises(RuntimeError, match="create it with capturable=True"):
        captured(optimizer.step)


def test_an_eager_rule_without_a_counter_may_be_captured() -> None:
    params = parameters(CUDA)
    optimizer = SGD(params, fast=False)
    set_gradients(params, seed=1)
    optimizer.step()
    before = [param.detach().clone() for param in params]
    captured(optimizer.step).replay()
    assert not all(map(torch.equal, params, before))


def test_kernels_are_used_when_asked_for() -> None:
    params = parameters(CUDA)
    optimizer = Adam(params)
    set_gradients(params, seed=1)
    optimizer.step()
    assert optimizer.execution.startswith("eager: kernels for CUDA")
