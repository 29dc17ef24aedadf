"""Signatures, documentation and checks that derive from the hyperparameters."""

import dataclasses
import inspect
from typing import Any

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.optim import SGD, Adam, Hyper, Momentum, RuleOptimizer
from optlab.registry import optimizers

every_counterpart = pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(make, make.torch_class, id=name)
        for name, make in optimizers.items()
        if make.torch_class is not None
    ],
)
every_class = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in optimizers.items()]
)


def positional(make: Any) -> list[str]:
    parameters = inspect.signature(make).parameters.values()
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


def param(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape or (2,)))


@every_counterpart
def test_positional_arguments_mean_what_they_mean_in_torch(ours: Any, theirs: Any) -> None:
    assert positional(ours) == positional(theirs)[: len(positional(ours))]


@every_counterpart
def test_shared_arguments_have_the_defaults_of_torch(ours: Any, theirs: Any) -> None:
    mine, other = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
    shared = set(mine) & set(other)
    chosen = {"momentum"}  # 0 in torch's SGD, where it switches momentum off
    assert {n: mine[n].default for n in shared - chosen} == {
        n: other[n].default for n in shared - chosen
    }


def test_signature_packs_betas() -> None:
    signature = str(inspect.signature(Adam)).partition(", lr")[2]
    assert signature.startswith(
        ": float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-08, *, "
        "eps_placement: Literal['outside', 'inside'] = 'outside', bias_correction: bool = True, "
        "amsgrad: bool = False, weight_decay: float = 0.0, decoupled_weight_decay: bool = False, "
        "maximize: bool = False, "
    )


@every_class
def test_documentation_explains_every_argument(make: type[RuleOptimizer]) -> None:
    doc = inspect.getdoc(make) or ""
    assert all(f"    {name}: " in doc for name in inspect.signature(make).parameters)


def test_arguments_by_position_and_by_keyword_are_one() -> None:
    by_position = Adam([param()], 0.1, (0.5, 0.6), 1e-3)
    by_keyword = Adam(params=[param()], lr=0.1, betas=(0.5, 0.6), eps=1e-3)
    assert by_position.defaults == by_keyword.defaults


def test_more_positional_arguments_are_refused() -> None:
    # The fifth of torch's Adam is weight_decay.
    with pytest.raises(TypeError, match="too many positional arguments"):
        Adam([param()], 0.1, (0.5, 0.6), 1e-3, 0.1)


@every_class
def test_hyperparameters_make_the_optimizer_that_holds_them(make: type[RuleOptimizer]) -> None:
    hyper = make.rule.hyper(lr=0.5)
    optimizer = make.from_hyper([param()], hyper, maximize=True)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert optimizer.param_groups[0]["maximize"] is True
    assert make([param()], lr=0.5, maximize=True).defaults == optimizer.defaults


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_decy": 0.1}, "unknown option of Adam 'weight_decy'; .* first: weight_decay,"),
        ({"beta1": 0.8}, "unknown option of Adam 'beta1'; known, nearest first: betas,"),
        ({"lr": -1.0}, r"lr must be in \[0, inf\), got -1.0 \(optimizer.lr\)"),
        ({"lr": "fast"}, "lr must be a number in .*, got 'fast'"),
        ({"betas": (0.9, 1.0)}, r"beta2 must be in \[0, 1\), got 1.0"),
        ({"betas": (0.9,)}, r"betas must be 2 numbers \(beta1, beta2\), got \(0.9,\)"),
        ({"betas": 0.9}, "betas must be 2 numbers"),
        ({"eps_placement": "between"}, "eps_placement must be one of outside, inside"),
        ({"weight_decay": -1.0}, "weight_decay must be in"),
        ({"maximize": 1}, "maximize must be true or false, got 1"),
        ({"lr": torch.ones(2)}, "Tensor lr must be 1-element"),
        ({"lr": torch.tensor(-1.0)}, r"lr must be in \[0, inf\), got -1.0"),
    ],
)
def test_what_cannot_be_used_is_refused_and_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Adam([param()], **options)
    optimizer = Adam([param()])
    with pytest.raises(ConfigError, match=message.replace("of Adam", "of a parameter group.*")):
        optimizer.add_param_group({"params": [param()], **options})
    assert len(optimizer.param_groups) == 1


def test_message_says_which_group_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"parameter group 1: lr must be in .*got -1"):
        Adam([{"params": [param()]}, {"params": [param()], "lr": -1}])


def test_keys_that_schedulers_and_people_add_are_welcome() -> None:
    group = {"params": [param()], "name": "head", "initial_lr": 0.1}
    assert Adam([group]).param_groups[0]["name"] == "head"


def test_complex_parameters_are_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"does not support complex parameters; .*view_as_real"):
        Adam([nn.Parameter(torch.ones(2, dtype=torch.complex64))])


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (lambda: torch.eye(2).to_sparse(), r"sparse parameters, got torch.sparse_coo; .*to_dense"),
        (lambda: torch.ones(2).int(), r"floating-point parameters, got torch.int32; .*float\(\)"),
    ],
)
def test_parameters_that_no_update_could_take_are_refused(tensor: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Adam([nn.Parameter(tensor(), requires_grad=False)])


def test_a_value_replaced_in_place_is_checked_at_the_next_step() -> None:
    weight = param()
    optimizer = Adam([weight])
    weight.grad = torch.ones(2)
    optimizer.step()
    before = weight.detach().clone()
    optimizer.param_groups[0]["betas"] = (0.9, 2.0)
    with pytest.raises(ConfigError, match="beta2 must be in"):
        optimizer.step()
    assert torch.equal(weight, before)


def test_a_rate_within_rounding_of_zero_is_zero() -> None:
    # torch's LinearLR down to 0 ends at about -5e-18.
    weight = param()
    optimizer = SGD([weight], lr=0.1)
    optimizer.param_groups[0]["lr"] = -5e-18
    weight.grad = torch.full((2,), 1e30)
    optimizer.step()
    assert weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("make", "option", "hint"),
    [
        (SGD, "momentum", "use optlab.optim.Momentum"),
        (SGD, "nesterov", "use optlab.optim.NAG"),
        (Momentum, "nesterov", "use optlab.optim.NAG"),
        (Adam, "fused", "one compiled pass"),
    ],
)
def test_options_of_torch_that_stand_elsewhere_are_pointed_to(
    make: Any, option: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=f"{make.__name__} has no option '{option}': .*{hint}"):
        make([param()], lr=0.1, **{option: True})


@pytest.mark.parametrize("name", ["maximize", "params", "max_lr", "fused"])
def test_a_hyperparameter_with_the_name_of_something_else_is_refused(name: str) -> None:
    hyper = dataclasses.make_dataclass(
        "Mine", [("lr", float, 0.1), (name, float, 0.5)], bases=(Hyper,), frozen=True
    )
    with pytest.raises(ConfigError, match=f"is called '{name}', which every parameter group has"):
        type("Mine", (RuleOptimizer,), {"rule": dataclasses.replace(SGD.rule, hyper=hyper)})


def test_a_key_that_a_user_added_is_loaded_where_it_is_known() -> None:
    optimizer = Adam([param()])
    optimizer.param_groups[0]["lr_scale"] = 0.5
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr_scale"] == 0.5
    with pytest.raises(ConfigError, match=r"unknown option .* 'lr_scale'"):
        Adam([param()]).load_state_dict(saved)


def test_new_data_of_a_tensor_learning_rate_is_seen() -> None:
    weight, rate = param(), torch.tensor(0.5)
    optimizer = SGD([weight], lr=rate)
    rate.data = torch.tensor(0.25)
    weight.grad = torch.ones(2)
    optimizer.step()
    assert weight.tolist() == [0.75, 0.75]
