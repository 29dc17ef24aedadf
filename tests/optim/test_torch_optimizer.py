"""What the driver does for every rule alike, and what torch's own optimizers do."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from optlab.config import ConfigError
from optlab.optim import SGD, Adam, Momentum, RuleOptimizer
from optlab.optim.groups import gradient_options
from optlab.registry import optimizers
from tests.optim.networks import network, random, same, train

every_class = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in optimizers.items()]
)


@every_class
def test_gradients_are_only_read(make: type[RuleOptimizer]) -> None:
    model = network()
    optimizer = make(model.parameters(), weight_decay=0.1, maximize=True)
    model(random(8, 4)).sum().backward()
    kept = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    optimizer.step()
    assert all(map(torch.equal, kept, [p.grad for p in model.parameters()]))


@every_class
def test_ascent_mirrors_descent(make: type[RuleOptimizer]) -> None:
    up, down = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
    climbing, falling = make([up], maximize=True), make([down])
    for step in range(3):
        up.grad = down.grad = random(3, seed=step)
        climbing.step()
        falling.step()
    assert torch.equal(up, -down)
    assert up.abs().min() > 0


def test_ascent_still_decays() -> None:
    # As in torch: w = 1, g = 0, decay 1, lr 0.5 gives 0.5.
    param = nn.Parameter(torch.ones(1))
    param.grad = torch.zeros(1)
    SGD([param], lr=0.5, weight_decay=1.0, maximize=True).step()
    assert param.item() == 0.5


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name)
        for name, make in optimizers.items()
        if "decoupled_weight_decay" in {f.name for f in gradient_options(make.rule.hyper)}
    ],
)
def test_decoupled_decay_shrinks_parameters_and_leaves_the_gradient(
    make: type[RuleOptimizer],
) -> None:
    param, plain = nn.Parameter(torch.ones(3)), nn.Parameter(torch.full((3,), 0.75))
    optimizer = make([param], lr=0.5, weight_decay=0.5, decoupled_weight_decay=True)
    param.grad = plain.grad = random(3)
    optimizer.step()
    make([plain], lr=0.5).step()
    assert torch.equal(param, plain)


@every_class
def test_tensor_learning_rate_equals_the_number(make: type[RuleOptimizer]) -> None:
    number, scalar, vector = network(), network(), network()
    train(number, make(number.parameters(), lr=0.25))
    train(scalar, make(scalar.parameters(), lr=torch.tensor(0.25)))
    train(vector, make(vector.parameters(), lr=torch.tensor([0.25], dtype=torch.float64)))
    for other in (scalar, vector):
        # lr / (1 - beta1^t) is rounded to the tensor's float32 before it meets the gradient.
        for a, b in zip(number.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_writing_to_a_tensor_learning_rate_is_seen() -> None:
    param, rate = nn.Parameter(torch.ones(1)), torch.tensor([0.5])
    optimizer = SGD([param], lr=rate)
    for value, expected in ((0.5, 0.5), (0.25, 0.25)):
        rate.fill_(value)
        param.grad = torch.ones(1)
        optimizer.step()
        assert param.item() == expected


@every_class
def test_closure_runs_with_gradients_on_and_its_loss_is_returned(make: type[RuleOptimizer]) -> None:
    with_closure, without = network(), network()
    optimizer = make(with_closure.parameters())

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = with_closure(random(8, 4)).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.no_grad():
        loss: Any = optimizer.step(closure)  # type: ignore[arg-type]
        assert torch.equal(loss, without(random(8, 4)).square().mean())
    train(without, make(without.parameters()), steps=1)
    assert same(with_closure, without)


def test_step_hooks_run_around_the_update() -> None:
    param = nn.Parameter(torch.ones(1))
    param.grad = torch.ones(1)
    optimizer, seen = SGD([param], lr=0.5), []
    optimizer.register_step_pre_hook(lambda *_: seen.append(param.item()))
    optimizer.register_step_post_hook(lambda *_: seen.append(param.item()))
    optimizer.step()
    assert seen == [1.0, 0.5]


@every_class
def test_named_parameters_keep_their_names(make: type[RuleOptimizer]) -> None:
    named, plain = network(), network()
    optimizer = make(named.named_parameters())
    train(named, optimizer)
    train(plain, make(plain.parameters()))
    assert same(named, plain)
    names = optimizer.state_dict()["param_groups"][0]["param_names"]
    assert names == [name for name, _ in named.named_parameters()]


@every_class
def test_a_copied_or_pickled_optimizer_goes_on_alike(make: type[RuleOptimizer]) -> None:
    model = network()
    optimizer = make(model.parameters())
    train(model, optimizer)
    for twin in (
        copy.deepcopy((model, optimizer)),
        pickle.loads(pickle.dumps((model, optimizer))),
    ):
        train(*twin)
        reference, original = copy.deepcopy((model, optimizer))
        train(reference, original)
        assert same(twin[0], reference)
        assert not same(twin[0], model)


@every_class
def test_groups_can_be_added_after_loading(make: type[RuleOptimizer]) -> None:
    # torch plants "differentiable" among the defaults of an optimizer that was loaded.
    optimizer = make([nn.Parameter(torch.ones(1))])
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))]})
    assert optimizer.param_groups[1].keys() == optimizer.param_groups[0].keys()


SCHEDULERS = {
    "step": lambda o: lr_scheduler.StepLR(o, 2, gamma=0.1),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=8),
    "linear": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=8),
    "one_cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=10),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.001, 0.1, step_size_up=3),
}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Adam, torch.optim.Adam),
        (
            lambda p, lr: Momentum(p, lr, lr_in_buffer=False),
            lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9),
        ),
    ],
    ids=["adam", "momentum"],
)
def test_schedulers_of_torch_drive_it_as_they_drive_torch(
    ours: Any, theirs: Any, scheduler: str
) -> None:
    # One cycle and cyclic also move betas and momentum.
    results = []
    for make in (ours, theirs):
        model = network().double()
        optimizer = make(model.parameters(), lr=0.05)
        schedule = SCHEDULERS[scheduler](optimizer)  # type: ignore[no-untyped-call]
        for step in range(8):
            optimizer.zero_grad()
            model(random(8, 4, seed=step).double()).square().mean().backward()
            optimizer.step()
            schedule.step()
        results.append(list(model.parameters()))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@every_class
def test_gradient_scaler_skips_overflow_and_unscales(make: type[RuleOptimizer]) -> None:
    scaled, plain = network(), network()
    optimizer = make(scaled.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    loss = scaled(random(8, 4)).square().mean()
    scaler.scale(loss * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    assert same(scaled, plain)
    optimizer.zero_grad()
    scaler.scale(scaled(random(8, 4, seed=0)).square().mean()).backward()
    scaler.step(optimizer)
    train(plain, make(plain.parameters()), steps=1)
    assert same(scaled, plain)


@every_class
def test_sparse_gradients_are_refused_before_anything_moves(make: type[RuleOptimizer]) -> None:
    dense, table = nn.Parameter(torch.ones(2)), nn.Embedding(3, 2, sparse=True)
    optimizer = make([{"params": dense}, {"params": table.parameters()}])
    (table(torch.tensor([1])).sum() + dense.sum()).backward()
    with pytest.raises(RuntimeError, match="sparse gradients: build the layer with sparse=False"):
        optimizer.step()
    assert dense.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@every_class
def test_low_precision_is_one_rounding_away_from_float32(
    make: type[RuleOptimizer], dtype: torch.dtype
) -> None:
    low = nn.Parameter(random(50).to(dtype))
    high = nn.Parameter(low.detach().float())
    grad = random(50, seed=1).to(dtype)
    low.grad, high.grad = grad, grad.float()
    for param in (low, high):
        make([param], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(low, high.to(dtype))


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@every_class
def test_cuda_equals_cpu_without_waiting_for_the_device(make: type[RuleOptimizer]) -> None:
    cpu, gpu = network().double(), network().double().cuda()
    optimizers_ = make(cpu.parameters(), lr=0.01), make(gpu.parameters(), lr=0.01)
    for step in range(5):
        for a, b in zip(cpu.parameters(), gpu.parameters(), strict=True):
            a.grad = random(*a.shape, seed=step).double()
            b.grad = a.grad.cuda()
        optimizers_[0].step()
        torch.cuda.set_sync_debug_mode("error")
        try:
            optimizers_[1].step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for a, b in zip(cpu.parameters(), gpu.parameters(), strict=True):
        # Division and square root may differ in the last bit.
        torch.testing.assert_close(a, b.cpu(), rtol=1e-12, atol=1e-12)


def test_writing_into_a_list_of_betas_is_seen_and_checked() -> None:
    listed, packed = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    ours, reference = Adam([listed], betas=[0.9, 0.999]), Adam([packed], betas=(0.9, 0.999))
    for step in range(4):
        if step == 2:
            ours.param_groups[0]["betas"][0] = 0.5
            reference.param_groups[0]["betas"] = (0.5, 0.999)
        listed.grad = packed.grad = random(3, seed=step)
        ours.step()
        reference.step()
        assert torch.equal(listed, packed)
    ours.param_groups[0]["betas"][1] = 1.0
    with pytest.raises(ConfigError, match="beta2"):
        ours.step()
