"""State dicts: exchange with torch's own classes, exact values, and what is refused."""

import copy
import inspect
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.optim import NAG, SGD, Adagrad, Adam, Momentum, RMSprop, RuleOptimizer
from optlab.registry import optimizers
from tests.contract.forms import forms, label

every_class = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in optimizers.items()]
)
#: Every class that torch has too, in all of the forms in which it is torch's.
with_counterpart = pytest.mark.parametrize(
    ("make", "form"),
    [
        pytest.param(make, form, id=label(name, form))
        for name, make in optimizers.items()
        for form in forms(make.rule.hyper)
        if make.torch_class is not None and make.torch_form.items() <= form.items()
    ],
)


def in_torch_form(make: Any, **form: Any) -> Any:
    """Return a function that makes our optimizer in a form in which it is torch's."""
    return partial(make, **{**make.torch_form, **form})


def of_torch(make: Any, **form: Any) -> Any:
    """Return a function that makes torch's optimizer of the same method, with our defaults."""
    ours = make([nn.Parameter(torch.ones(1))]).defaults
    options = {**ours, **form, **(make.rule.torch_group or {})}
    known = inspect.signature(make.torch_class).parameters.keys() - make.torch_form.keys()
    return partial(make.torch_class, **{n: v for n, v in options.items() if n in known})


def params() -> list[nn.Parameter]:
    return [nn.Parameter(torch.linspace(-1, 1, n, dtype=torch.float64)) for n in (3, 4)]


def train(parameters: list[nn.Parameter], optimizer: Any, steps: range) -> list[Tensor]:
    for step in steps:
        for index, param in enumerate(parameters):
            generator = torch.Generator().manual_seed(10 * step + index)
            param.grad = torch.randn(param.shape, generator=generator, dtype=param.dtype)
        optimizer.step()
    return [p.detach().clone() for p in parameters]


@with_counterpart
@pytest.mark.parametrize("direction", ["to torch", "from torch"])
def test_a_run_goes_on_in_the_other_library(
    make: type[RuleOptimizer], form: dict[str, Any], direction: str
) -> None:
    first, second = in_torch_form(make, **form), of_torch(make, **form)
    if direction == "from torch":
        first, second = second, first
    whole = params()
    expected = train(whole, first(whole, lr=0.02, weight_decay=0.1), range(8))
    moved = params()
    before = first(moved, lr=0.02, weight_decay=0.1)
    train(moved, before, range(4))
    after = second(moved, lr=0.5)  # the saved numbers count, as in torch
    after.load_state_dict(before.state_dict())
    # Numbers beside the counter (NAdam's product) torch keeps in float32, we in float64.
    tolerance = 1e-12 if set(make.rule.scalars) <= {"step"} else 1e-7
    for a, b in zip(train(moved, after, range(4, 8)), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@every_class
def test_loading_copies(make: type[RuleOptimizer]) -> None:
    own, other = params(), params()
    saved, loaded = make(own, lr=torch.tensor(0.5)), make(other)
    train(own, saved, range(2))
    loaded.load_state_dict(saved.state_dict())
    assert loaded.param_groups[0]["lr"] is not saved.param_groups[0]["lr"]
    kept = copy.deepcopy(saved.state_dict()["state"])
    train(other, loaded, range(2))
    for index, state in saved.state_dict()["state"].items():
        assert all(torch.equal(state[name], kept[index][name]) for name in state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@every_class
def test_moments_of_low_precision_parameters_come_back_exactly(
    make: type[RuleOptimizer], dtype: torch.dtype
) -> None:
    # torch casts them to the parameters' dtype (pytorch issue 43706).
    own = [nn.Parameter(torch.ones(3, dtype=dtype))]
    saved, loaded = make(own), make(own)
    train(own, saved, range(3))
    loaded.load_state_dict(saved.state_dict())
    before, after = saved.state_dict()["state"], loaded.state_dict()["state"]
    assert before.keys() == after.keys()
    for index in before:
        for name, value in before[index].items():
            assert value.dtype == torch.float32 or name in make.rule.scalars
            assert after[index][name].dtype == value.dtype
            assert torch.equal(after[index][name], value)


def test_a_wider_saved_dtype_is_kept() -> None:
    wide, narrow = params(), [nn.Parameter(p.detach().float()) for p in params()]
    saved, loaded = Adam(wide), Adam(narrow)
    train(wide, saved, range(1))
    loaded.load_state_dict(saved.state_dict())
    assert loaded.state[narrow[0]]["exp_avg"].dtype == torch.float64


@pytest.mark.parametrize("counter", [2.0, torch.tensor(2.0)], ids=["number", "tensor"])
def test_loading_does_not_ask_the_default_device(counter: Any) -> None:
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = Adam([weight])
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["step"] = counter
    with torch.device("meta"):
        optimizer.load_state_dict(saved)
    assert optimizer.state[weight]["step"].item() == 2.0


def test_counters_of_old_and_fused_files_become_cpu_tensors() -> None:
    own = params()
    optimizer = Adam(own)
    train(own, optimizer, range(3))
    state = copy.deepcopy(optimizer.state_dict())
    for entry in state["state"].values():
        entry["step"] = 3
    optimizer.load_state_dict(state)
    step = optimizer.state[own[0]]["step"]
    assert (step.item(), step.dtype, step.device.type) == (3.0, torch.float32, "cpu")


def load(into: Any, saved: Any) -> None:
    own = params()
    optimizer = into(own)
    target = saved(params())
    train(target.param_groups[0]["params"], target, range(1))
    optimizer.load_state_dict(target.state_dict())


@pytest.mark.parametrize(
    ("into", "saved", "message"),
    [
        (Adam, lambda p: torch.optim.Adam(p, amsgrad=True), "amsgrad=True"),
        (Adam, lambda p: Adam(p, bias_correction=False), "bias_correction=False"),
        (Adam, RMSprop, "no 'betas'"),
        (Adam, Adagrad, "no 'betas'"),
        (lambda p: Adam(p, eps_placement="inside"), torch.optim.Adam, "eps_placement='outside'"),
        (lambda p: RMSprop(p, centered=True), torch.optim.RMSprop, "centered=False"),
        (RMSprop, lambda p: torch.optim.RMSprop(p, centered=True), "centered=True"),
        (SGD, lambda p: torch.optim.SGD(p, momentum=0.9), "momentum=0.9"),
        (Momentum, lambda p: torch.optim.SGD(p, momentum=0.9), "lr_in_buffer=False"),
        (Momentum, lambda p: Momentum(p, lr_in_buffer=False), "lr_in_buffer=False"),
        (in_torch_form(Momentum), of_torch(NAG), "nesterov=True"),
        (in_torch_form(NAG), of_torch(Momentum), "nesterov=False"),
        (
            in_torch_form(Momentum),
            lambda p: torch.optim.SGD(p, momentum=0.9, dampening=0.5),
            "dampening=0.5",
        ),
    ],
)
def test_state_of_another_method_is_refused_by_its_difference(
    into: Any, saved: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(into, saved)


def test_torch_cannot_step_with_a_velocity_that_holds_the_learning_rate() -> None:
    # torch would read the notes' v as its own b; without "dampening" its step stops at once.
    own = params()
    saved, theirs = Momentum(own), torch.optim.SGD(own, momentum=0.9)
    train(own, saved, range(1))
    theirs.load_state_dict(saved.state_dict())
    with pytest.raises(KeyError, match="dampening"):
        train(own, theirs, range(1))


def spoiled(change: Any) -> dict[str, Any]:
    own = params()
    optimizer = Adam(own)
    train(own, optimizer, range(1))
    state = copy.deepcopy(optimizer.state_dict())
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["param_groups"].append(s["param_groups"][0]), "different number of param"),
        (lambda s: s["param_groups"][0]["params"].pop(), "doesn't match the size"),
        (lambda s: s["param_groups"][0].update(lr=-1.0), "lr must be in"),
        (lambda s: s["param_groups"][0].update(wd=1.0), "unknown option of a parameter group"),
        (lambda s: s["state"][0].pop("exp_avg"), "has entries .* expected"),
        (lambda s: s["state"][0].update(exp_avg=torch.ones(9)), r"shape \(9,\), .* needs \(3,\)"),
        (lambda s: s["state"].update({7: {}}), r"unknown parameters \[7\]"),
    ],
)
def test_a_spoiled_file_is_refused_and_changes_nothing(change: Any, message: str) -> None:
    own = params()
    optimizer = Adam(own, lr=0.25)
    with pytest.raises(ConfigError, match=message):
        optimizer.load_state_dict(spoiled(change))
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert not optimizer.state


def test_hooks_see_and_change_what_is_saved_and_loaded() -> None:
    own = params()
    optimizer, seen = Adam(own), []

    def rename(_: Any, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "param_groups": state["groups"]}

    def stamp(_: Any, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "stamp": 1}

    optimizer.register_state_dict_post_hook(stamp)
    saved = optimizer.state_dict()
    assert saved["stamp"] == 1
    optimizer.register_load_state_dict_pre_hook(rename)
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
    saved["groups"] = saved.pop("param_groups")
    saved["groups"][0]["lr"] = 0.75
    optimizer.load_state_dict(saved)
    assert seen == [0.75]
    assert "groups" in saved


@every_class
def test_names_of_parameters_survive_an_unnamed_file(make: type[RuleOptimizer]) -> None:
    model = nn.Linear(2, 2)
    named, plain = make(model.named_parameters()), make(model.parameters())
    named.load_state_dict(plain.state_dict())
    assert named.param_groups[0]["param_names"] == ["weight", "bias"]
    plain.load_state_dict(named.state_dict())
    assert plain.param_groups[0]["param_names"] == ["weight", "bias"]
