"""The programs that an update becomes part of: stacks of runs, long vectors, compiled graphs."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from optlab.check.case import Case, distance, random, with_tensors
from optlab.check.promise import Broken, expect, promise
from optlab.optim.rule import Hyper, NewState, Rule
from optlab.optim.trial import apart_and_together, walk

aten = torch.ops.aten
#: Operations whose result, or its shape, is a value that the program has to wait for.
ASKING = (
    aten._local_scalar_dense,
    aten.is_nonzero,
    aten.equal,
    aten.nonzero,
    aten.masked_select,
    aten._unique2,
)


class _NoQuestions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Raises where a program asks for the value of a tensor."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in ASKING:
            raise Broken("no tensor asked for its value", f"{func.overloadpacket} of one")
        return func(*args, **(kwargs or {}))


@promise(
    "update asks no tensor for its value",
    mend="choose with torch.where, torch.maximum or optlab.optim.kit.choose instead of if, max(), "
    "float(), .item() or .tolist()",
    mends_errors=True,
)
def asks_for_no_value(case: Case) -> None:
    """A stack has many values, a graph has none yet, and a GPU would have to be waited for."""
    rule, param, grads = case.rule, random(4, 3, seed=1), random(2, 4, 3, seed=2)
    for hyper in (case.hyper, with_tensors(case.hyper)):
        with _NoQuestions():  # type: ignore[no-untyped-call]
            walk(rule, hyper, param, grads)
        with FakeTensorMode(allow_non_fake_inputs=True) as fake:
            shapes = [fake.from_tensor(tensor) for tensor in (param, *grads)]
            walk(rule, hyper, shapes[0], shapes[1:])


@promise(
    "elementwise says whether tensors may be laid end to end",
    mend="say elementwise=False in Rule(...) if an element's step depends on others of its tensor "
    "(norms, means, matrices), and leave it out if it does not",
)
def is_elementwise_as_declared(case: Case) -> None:
    """Other forms of a rule that looks at whole tensors may not look."""
    rule, hyper = case.rule, case.hyper
    shapes = [(7,), (3, 5), (2, 2, 2)]
    grads = [random(4, *s, seed=i) for i, s in enumerate(shapes)]
    params = [random(*s, seed=i) for i, s in enumerate(shapes, start=9)]
    alone, together = apart_and_together(rule, hyper, params, grads)
    same = torch.equal(together, alone)
    if rule.elementwise:
        expect(same, "the same bits end to end as alone", distance(together, alone))
    elif case.is_default:
        expect(not same, "elementwise=True, for it is", "elementwise=False")


@promise(
    "a run in a stack equals the run alone",
    mend="let every float of hyper and every scalar be a 0-d tensor: beta ** as_float64(t), "
    "torch.where, no float(hyper.lr), no torch.tensor(hyper.lr)",
    mends_errors=True,
)
def stacks(case: Case) -> None:
    """Under `torch.vmap` every run has its own parameters, state and numbers."""
    rule, hyper, runs, steps = case.rule, case.hyper, 5, 6
    values = stacked_numbers(hyper, runs)
    params, grads = random(runs, 4, 3, seed=1), random(steps, runs, 4, 3, seed=2)
    stack, state = stacked_walk(rule, hyper, values, params, grads)
    for r in range(runs):
        numbers = hyper.with_values(**{name: value[r] for name, value in values.items()})
        alone, alone_state = walk(rule, numbers, params[r], grads[:, r])
        # Bitwise, although the correction 1 - beta^t of a stack is a vectorised power: its last
        # float64 bit is lost when it meets float32. Of numbers that are kept in float64 it is not.
        # Products of stacked matrices may add up in another order than those of one (in bfloat16
        # that is 1e-2 of a step, which is 1e-3 long).
        products = 0.0 if rule.elementwise else 1e-4
        _expect_close("parameter", stack[r], alone, 0.0, products)
        for name, value in alone_state.items():
            rounding = 1e-14 if value.dtype == torch.float64 else 0.0
            _expect_close(name, state[name][r], value, rounding, products)


def stacked_numbers(hyper: Hyper, runs: int) -> dict[str, Tensor]:
    """Return different float64 values for every float field, one per run."""
    factors = torch.linspace(0.5, 1.0, runs, dtype=torch.float64)
    return {name: getattr(hyper, name) * factors for name in hyper.float_names()}


def stacked_walk(
    rule: Rule, hyper: Hyper, values: dict[str, Tensor], params: Tensor, grads: Tensor
) -> tuple[Tensor, NewState]:
    """Return parameters (runs, ...) and state of a stack after gradients (steps, runs, ...)."""

    def init(param: Tensor, numbers: dict[str, Tensor]) -> NewState:
        # Every entry comes back with a run axis, also the counter.
        state = rule.init_state(param, hyper.with_values(**numbers))
        return {
            n: t + torch.zeros((), dtype=t.dtype) * param.flatten()[0] for n, t in state.items()
        }

    def update(g: Tensor, p: Tensor, s: NewState, n: dict[str, Tensor]) -> tuple[Tensor, NewState]:
        return rule.update(g, p, s, hyper.with_values(**n))

    state = torch.vmap(init)(params, values)
    for grad in grads:
        params, state = torch.vmap(update)(grad, params, state, values)
    return params, state


@promise(
    "torch.compile takes update whole",
    mend="keep to tensor operations and to if on shapes and static options; no print, no .numpy(), "
    "no lists that grow with values",
    mends_errors=True,
)
def compiles(case: Case) -> None:
    """In one graph without a break, and with the eager result."""
    rule, hyper = case.rule, case.hyper
    param, state = walk(rule, hyper, random(4, 3, seed=1), random(2, 4, 3, seed=2))
    grad = random(4, 3, seed=3)
    expected, expected_state = rule.update(grad, param, state, hyper)
    with _fresh_compiler():
        compiled = torch.compile(rule.update, backend="aot_eager", fullgraph=True, dynamic=False)
        found, found_state = compiled(grad, param, state, hyper)
    # The graph may round a number of the state, or a sum, once where the eager update does twice.
    _expect_close("parameter", found, expected, 1e-6, 1e-7)
    for name, value in expected_state.items():
        _expect_close(name, found_state[name], value, 1e-6, 1e-7)


@contextlib.contextmanager
def _fresh_compiler() -> Iterator[None]:
    """Let no earlier compilation count against this one's limit of versions."""
    torch.compiler.reset()
    try:
        yield
    finally:
        torch.compiler.reset()


def _expect_close(name: str, found: Any, expected: Any, rtol: float, atol: float) -> None:
    found, expected = torch.as_tensor(found), torch.as_tensor(expected)
    alike = (found.shape, found.dtype) == (expected.shape, expected.dtype)
    close = alike and torch.allclose(found, expected, rtol=rtol, atol=atol, equal_nan=True)
    within = f"to {max(rtol, atol):g}" if rtol or atol else "bit for bit"
    expect(close, f"the {name} of the run alone, {within}", distance(found, expected))
