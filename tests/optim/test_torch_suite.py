"""torch's own table of optimizer configurations and errors, applied to our classes beside torch's.

`torch.testing._internal.common_optimizers` lists, per optimizer, the options with which torch tests
it and what has to be refused. Our entries take these lists over; on a machine with CUDA the tests
run there, too.
"""

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import hypothesis
import pytest
import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.optim import RuleOptimizer
from optlab.registry import optimizers


@contextmanager
def unchanged_process() -> Iterator[None]:
    """Keep what importing torch's test modules changes for every test of the process."""
    path = list(sys.path)
    with mock.patch.object(torch.backends, "disable_global_flags"):
        yield
    sys.path[:] = path
    hypothesis.settings.load_profile("optlab")


with unchanged_process():
    from torch.testing._internal.common_device_type import instantiate_device_type_tests
    from torch.testing._internal.common_optimizers import (
        ErrorOptimizerInput,
        OptimizerErrorEnum,
        OptimizerInfo,
        OptimizerInput,
        optim_db,
        optims,
    )
    from torch.testing._internal.common_utils import TestCase, set_default_dtype

THEIRS = {entry.optim_cls: entry for entry in optim_db}
OURS = [
    OptimizerInfo(
        make,
        optim_inputs_func=THEIRS[make.torch_class].optim_inputs_func,
        optim_error_inputs_func=THEIRS[make.torch_class].optim_error_inputs_func,
        scheduler_inputs=THEIRS[make.torch_class].scheduler_inputs,
    )
    for make in dict.fromkeys(make for _, make in optimizers.items())
    if make.torch_class is not None
]
#: What torch refuses and optlab does not have to: here numbers and tensors may be mixed.
ALLOWED_HERE = {"betas must be either both floats or both Tensors"}
#: Relative and absolute. Roundings of the parameters come back in the gradients, and a division by
#: the root of small squares magnifies them: 1e5 times the last bit of float64, 1e3 that of float32.
TOLERANCES = {torch.float64: (1e-11, 1e-12), torch.float32: (1e-4, 1e-5)}

Params = list[nn.Parameter]


def options_of(make: type[RuleOptimizer], given: OptimizerInput) -> tuple[Any, Any] | None:
    """Return an input's options for our class and for torch's; None if ours is without them."""
    known = inspect.signature(make).parameters
    fixed = {**(make.rule.torch_group or {}), **make.torch_form}
    if any(n not in known and (n, v) not in fixed.items() for n, v in given.kwargs.items()):
        return None
    ours = {**make.torch_form, **{n: v for n, v in given.kwargs.items() if n in known}}
    defaults = {n: p.default for n, p in known.items() if n != "params"}
    wanted = inspect.signature(THEIRS[make.torch_class].optim_cls).parameters
    theirs = {**defaults, **(make.rule.torch_group or {}), **ours}
    return ours, {n: v for n, v in theirs.items() if n in wanted}


class Network(nn.Module):
    """Two layers and a scale, a 0-d parameter, with a loss to be made small."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)

        self.first, self.second = nn.Parameter(normal(5, 4)), nn.Parameter(normal(4, 3))
        self.bias, self.scale = nn.Parameter(normal(3)), nn.Parameter(normal())
        self.x, self.y = normal(8, 5), normal(8, 3)

    def loss(self) -> Tensor:
        output = torch.tanh(self.x @ self.first) @ self.second + self.bias
        return (self.scale * output - self.y).square().mean()


def seven_steps(network: Network, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Train as torch's suite does: no gradients in step 2, a layer frozen in steps 3 and 4."""
    for step in range(7):
        optimizer.zero_grad()
        network.second.requires_grad_(step not in (3, 4))
        if step != 2:
            network.loss().backward()
        optimizer.step()
        yield


def assert_alike(ours: Any, theirs: Any, networks: tuple[Network, Network], what: str) -> None:
    """Compare parameters and states; torch writes None for entries that an option leaves out."""
    pairs = list(zip(*(network.parameters() for network in networks), strict=True))
    for mine, its in pairs:
        rtol, atol = TOLERANCES[mine.dtype]
        torch.testing.assert_close(mine, its, rtol=rtol, atol=atol, msg=lambda m: f"{what}: {m}")
        kept = {n: v for n, v in theirs.state.get(its, {}).items() if v is not None}
        state = ours.state.get(mine, {})
        assert state.keys() == kept.keys(), what
        for name, value in kept.items():
            torch.testing.assert_close(
                state[name].double(),
                torch.as_tensor(value, device=state[name].device).double(),
                rtol=rtol,
                atol=atol,
                msg=lambda m, name=name: f"{what}, {name}: {m}",
            )


def sample(device: str, dtype: torch.dtype) -> Params:
    return [nn.Parameter(torch.ones(2, 3, device=device, dtype=dtype))]


def refusal(error: ErrorOptimizerInput, build: Callable[..., Any], default: Params) -> Exception:
    """Return what a class raises or warns of for an input that torch refuses."""
    given = error.optimizer_error_input
    params = default if given.params is None else given.params
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            optimizer = build(params, **given.kwargs)
            if error.error_on == OptimizerErrorEnum.STEP_ERROR:
                optimizer.step()
        except Exception as raised:
            return raised
    raise AssertionError(f"{given.desc}: accepted")


def says_the_same(raised: Exception, error: ErrorOptimizerInput, make: Any) -> bool:
    """Return whether an error has torch's wording, or says which value is wrong and what is not."""
    if isinstance(raised, error.error_type) and re.search(error.error_regex, str(raised)):
        return True
    packed, message = make.rule.hyper.PACKED, str(raised)
    for name, value in error.optimizer_error_input.kwargs.items():
        values = value if name in packed else (value,)
        for field, number in zip(packed.get(name, (name,)), values, strict=True):
            if re.search(rf"\b{field} must be .*, got {float(number)!r} \(optimizer", message):
                return isinstance(raised, ConfigError)
    complex_here = "does not support complex parameters" in error.error_regex
    return complex_here and isinstance(raised, ConfigError) and "complex parameters" in message


class TestTorchSuite(TestCase):
    @optims(OURS, dtypes=list(TOLERANCES))
    def test_goes_in_lockstep_with_torch(
        self, device: str, dtype: torch.dtype, optim_info: OptimizerInfo
    ) -> None:
        make = optim_info.optim_cls
        inputs = optim_info.optim_inputs_func(device=device, dtype=dtype)
        found = [(given.desc, options_of(make, given)) for given in inputs]
        assert dict(found)["default"] is not None
        # torch's counters and products of factors have the default dtype; ours are always exact.
        with set_default_dtype(dtype):
            for what, options in found:
                if options is not None:
                    networks = Network(device, dtype), Network(device, dtype)
                    self.compare(make, *options, networks, what)

    def compare(
        self,
        make: Any,
        ours: Mapping[str, Any],
        theirs: Mapping[str, Any],
        networks: tuple[Network, Network],
        what: str,
    ) -> None:
        mine = make(networks[0].parameters(), **ours)
        its = make.torch_class(networks[1].parameters(), **theirs)
        for _ in zip(seven_steps(networks[0], mine), seven_steps(networks[1], its), strict=True):
            assert_alike(mine, its, networks, what)
        first = Network(str(networks[0].x.device), networks[0].x.dtype)
        assert not any(map(torch.equal, networks[0].parameters(), first.parameters()))

    @optims(OURS)
    def test_refuses_what_torch_refuses(
        self, device: str, dtype: torch.dtype, optim_info: OptimizerInfo
    ) -> None:
        make = optim_info.optim_cls
        known = inspect.signature(make).parameters
        checked = 0
        for error in optim_info.optim_error_inputs_func(device=device, dtype=dtype):
            given = error.optimizer_error_input
            if given.kwargs.keys() <= known.keys() and error.error_regex not in ALLOWED_HERE:
                raised = refusal(error, make, sample(device, dtype))
                assert says_the_same(raised, error, make), f"{error.error_regex}: {raised!r}"
                checked += 1
        assert checked or device != "cpu"

    @optims(OURS)
    def test_gets_lower_under_the_schedulers_of_torchs_list(
        self, device: str, dtype: torch.dtype, optim_info: OptimizerInfo
    ) -> None:
        for schedulers in optim_info.scheduler_inputs:
            network = Network(device, dtype)
            optimizer = optim_info.optim_cls(network.parameters())
            driven = [schedule(optimizer) for schedule in schedulers]
            first = network.loss().item()
            for _ in range(20):
                optimizer.zero_grad()
                loss = network.loss()
                loss.backward()
                optimizer.step()
                for schedule in driven:
                    plateau = isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)
                    schedule.step(loss.detach()) if plateau else schedule.step()
            assert network.loss().item() < first


instantiate_device_type_tests(TestTorchSuite, globals(), only_for=("cpu", "cuda"))


def test_every_configuration_of_torch_is_run_but_for_dampening() -> None:
    left = [
        given.kwargs
        for entry in {entry.optim_cls.torch_class: entry for entry in OURS}.values()
        for given in entry.optim_inputs_func(device="cpu", dtype=torch.float32)
        if not any(
            options_of(other.optim_cls, given)
            for other in OURS
            if other.optim_cls.torch_class is entry.optim_cls.torch_class
        )
    ]
    assert [set(options) for options in left] == [{"momentum", "dampening"}]


@pytest.mark.parametrize("what", sorted(ALLOWED_HERE))
def test_what_is_allowed_here_works(what: str) -> None:
    found = [
        (entry.optim_cls, error.optimizer_error_input.kwargs)
        for entry in OURS
        for error in entry.optim_error_inputs_func(device="cpu", dtype=torch.float32)
        if error.error_regex == what
    ]
    assert found
    for make, options in found:
        params = sample("cpu", torch.float32)
        params[0].grad = torch.ones(2, 3)
        make(params, **options).step()
        assert params[0].isfinite().all()
