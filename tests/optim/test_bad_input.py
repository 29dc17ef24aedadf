"""What every optimizer class refuses, with an error that names it.

Numbers out of range are in test_rule_properties.py, groups in test_torch_holes.py.
"""

import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from packaging.version import Version
from torch import nn

from optlab.config import ConfigError
from tests.optim.lockstep import OptimizerClass, every_class


def param(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape or (2,)))


def names(make: OptimizerClass, kind: Callable[[Any], bool]) -> list[str]:
    """Return the options whose default is of a kind."""
    parameters = inspect.signature(make).parameters.values()
    return [p.name for p in parameters if p.name != "params" and kind(p.default)]


def refused(make: OptimizerClass, name: str, value: Any) -> str:
    """Return the message with which a value is refused, by the class and in a group."""
    messages = []
    for build in (
        lambda: make([param()], **{name: value}),
        lambda: make([{"params": [param()], name: value}]),
    ):
        with pytest.raises(ConfigError) as caught:
            build()
        messages.append(str(caught.value))
    assert set(messages) == {messages[0]}
    return messages[0]


@every_class
@pytest.mark.parametrize(
    "value",
    [None, True, "0.1", "", [0.1], (0.1,), 1j, float("nan"), float("inf"), -float("inf"), {}],
    ids=repr,
)
def test_what_is_no_finite_number_is_refused_for_a_number(make: OptimizerClass, value: Any) -> None:
    numbers = names(make, lambda default: isinstance(default, float))
    assert "lr" in numbers
    for name in numbers:
        message = refused(make, name, value)
        assert f"{name} must be a number" in message or "must be in" in message
        assert f"got {value!r} (optimizer.{name})" in message


@every_class
@pytest.mark.parametrize("value", [0, 1, "true", None, 1.0, [True]], ids=repr)
def test_what_is_no_bool_is_refused_for_a_bool(make: OptimizerClass, value: Any) -> None:
    switches = names(make, lambda default: isinstance(default, bool))
    assert "maximize" in switches
    for name in switches:
        assert f"{name} must be true or false, got {value!r}" in refused(make, name, value)


@every_class
@pytest.mark.parametrize("value", ["Outside", "other", None, True, 0.5], ids=repr)
def test_what_is_no_choice_is_refused_with_the_choices(make: OptimizerClass, value: Any) -> None:
    hints = get_type_hints(make.rule.hyper)
    for name in names(make, lambda default: isinstance(default, str)):
        assert get_origin(hints[name]) is Literal
        allowed = ", ".join(get_args(hints[name]))
        assert f"{name} must be one of {allowed}, got {value!r}" in refused(make, name, value)


@every_class
def test_a_packed_option_has_to_have_all_of_its_numbers(make: OptimizerClass) -> None:
    for name, members in make.rule.hyper.PACKED.items():
        default = inspect.signature(make).parameters[name].default
        for value in (default[:-1], (*default, 0.5), (), 0.5, None, "ab", set(default)):
            expected = f"{name} must be {len(members)} numbers ({', '.join(members)}), got "
            assert expected in refused(make, name, value)


@every_class
def test_a_tensor_of_several_numbers_or_of_a_bad_one_is_refused(make: OptimizerClass) -> None:
    for name in names(make, lambda default: isinstance(default, float)):
        many, bad = torch.full((2,), 0.5), torch.tensor(float("nan"))
        assert f"Tensor {name} must be 1-element, got shape (2,)" in refused(make, name, many)
        assert f"{name} must be a number" in refused(make, name, bad)


SHARED = param()
BAD_PARAMETERS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "none": (lambda: [], ValueError, "empty parameter list"),
    "an empty generator": (lambda: iter([]), ValueError, "empty parameter list"),
    "one tensor": (param, TypeError, "should be an iterable of Tensors or dicts"),
    "numbers": (lambda: [1.0], TypeError, "can only optimize Tensors"),
    "a number in a group": (lambda: [{"params": [1.0]}], TypeError, "can only optimize Tensors"),
    "a group without params": (lambda: [{"lr": 0.1}], KeyError, "params"),
    "a result": (lambda: [param() * 2], ValueError, "can't optimize a non-leaf Tensor"),
    "one in two groups": (
        lambda: [{"params": [SHARED]}, {"params": [SHARED]}],
        ValueError,
        "some parameters appear in more than one parameter group",
    ),
    "one twice in a group": (lambda: [SHARED, SHARED], UserWarning, "duplicate parameters"),
    "a set": (lambda: {param(), param()}, FutureWarning, "ordered collections"),
    "a set in a group": (lambda: [{"params": {param()}}], TypeError, "ordered collections"),
    "complex ones": (
        lambda: [nn.Parameter(torch.ones(2, dtype=torch.complex64))],
        ConfigError,
        "complex parameters",
    ),
    "names for some": (lambda: [("a", param()), param()], ValueError, "with/without names"),
}


@every_class
def test_a_sparse_parameter_is_refused_at_the_latest_when_it_has_a_gradient(
    make: OptimizerClass,
) -> None:
    sparse = nn.Parameter(torch.eye(2).to_sparse())
    sparse.grad = torch.eye(2).to_sparse()
    with pytest.raises((ConfigError, RuntimeError), match="sparse"):
        make([sparse]).step()


@every_class
@pytest.mark.parametrize("what", BAD_PARAMETERS)
def test_parameters_that_cannot_be_optimized_are_refused(make: OptimizerClass, what: str) -> None:
    build, error, message = BAD_PARAMETERS[what]
    if what == "a set" and Version(torch.__version__) < Version("2.12"):
        pytest.skip("torch takes a set as it is")
    with pytest.raises(error, match=message):
        make(build())


@every_class
def test_a_refused_group_leaves_the_optimizer_as_it_was(make: OptimizerClass) -> None:
    own = param()
    optimizer = make([own])
    for what in (own, param() * 2, nn.Parameter(torch.ones(2) * 1j), 1.0):
        with pytest.raises((ValueError, TypeError)):
            optimizer.add_param_group({"params": [what]})
    assert [group["params"] for group in optimizer.param_groups] == [[own]]
    own.grad = torch.ones(2)
    optimizer.step()
    assert own.isfinite().all()
