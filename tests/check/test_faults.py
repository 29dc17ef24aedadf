"""Every promise is broken once on purpose, and reported by name."""

import functools
import random
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from optlab.check import PROMISES, Broken, Case, Verdict, cases, held, report_on
from optlab.check.run import show
from optlab.optim.kit import Hyper, NonNegative, Positive, choose, ema, zero_step
from tests.check.rules import SoundHyper, a_case, a_class, init_state, update

BY_NAME = {promise.name: promise for promise in PROMISES}


@dataclass(frozen=True)
class Late(Hyper):
    """Hyperparameters.

    Attributes:
        lr: Step.
    """

    lr: Positive = 1e-2


@dataclass(frozen=True)
class Whole(Hyper):
    """Hyperparameters.

    Attributes:
        lr: Step.
        beta: Decay, whose default is no float.
    """

    lr: NonNegative = 1e-2
    beta: NonNegative = 0


@dataclass(frozen=True)
class Unbounded(Hyper):
    """Hyperparameters.

    Attributes:
        lr: Step.
        beta: Decay without a range.
    """

    lr: NonNegative = 1e-2
    beta: float = 0.5


class Undecorated(Hyper):
    """Hyperparameters without @dataclass."""

    lr: NonNegative = 1e-2


@dataclass(frozen=True)
class Undescribed(Hyper):
    """Hyperparameters."""

    lr: NonNegative = 1e-2


def descend(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad, {}


def nothing(param: Any, hyper: Any) -> Any:
    return {}


def a_mean(param: Any, hyper: Any) -> Any:
    return {"mean": torch.zeros_like(param)}


def in_place(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    m = state["mean"].mul_(hyper.beta).add_(grad)
    return param - hyper.lr * m, {"mean": m.clone()}


def spoils_the_gradient(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - grad.mul_(hyper.lr), {}


def keeps_the_gradient(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * (grad + state["mean"]), {"mean": grad}


def one_tensor_twice(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    new = param - hyper.lr * grad
    return new, {"mean": new}


ZEROS = torch.zeros(24)


def one_buffer_for_all(param: Any, hyper: Any) -> Any:
    return {"mean": ZEROS[: param.numel()].view(param.shape)}


def an_anchor(param: Any, hyper: Any) -> Any:
    return {"step": zero_step(), "anchor": torch.zeros_like(param)}


def keeps_the_first_point(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    t = state["step"] + 1
    return param - hyper.lr * grad, {"step": t, "anchor": choose(t == 1, param, state["anchor"])}


def keep(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad, {"mean": state["mean"] * 1}


STEPS = {"made": 0}


def counts_outside(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    STEPS["made"] += 1
    return param - hyper.lr / STEPS["made"] * grad, {}


def draws(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * random.random() * grad, {}


def climbs(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param + hyper.lr * grad, {}


def divides_by_zero(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad / grad.abs(), {}


def widens(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    m = ema(state["mean"], grad, hyper.beta).double()
    return param - hyper.lr * m.to(param.dtype), {"mean": m}


def widens_by_a_number(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    lr = torch.as_tensor(hyper.lr, dtype=torch.float64).reshape(1)
    return param - lr * grad, {}


def renames(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad, {"m": state.get("mean", grad) * 1}


def a_norm(param: Any, hyper: Any) -> Any:
    return {"norm": torch.zeros((), dtype=param.dtype)}


def a_counter_of_its_own(param: Any, hyper: Any) -> Any:
    return init_state(param, hyper) | {"step": torch.zeros(())}


def a_mean_somewhere(param: Any, hyper: Any) -> Any:
    return {"mean": torch.zeros(param.shape, dtype=param.dtype)}


def remembers_a_norm(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad, {"norm": state["norm"] + 1}


def counts_by(step: float) -> Any:
    def counting(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
        new, after = update(grad, param, state, hyper)
        return new, after | {"step": state["step"] + step}

    return counting


def a_wide_counter(param: Any, hyper: Any) -> Any:
    return init_state(param, hyper) | {"step": zero_step().double()}


def a_tensors_power(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    t = state["step"] + 1
    rate = hyper.lr / (1 - hyper.beta ** t.double())
    return param - rate * grad, {"step": t}


def only_a_step(param: Any, hyper: Any) -> Any:
    return {"step": zero_step()}


def of_vectors(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad / (1 + grad.abs().amax(dim=0)), {}


def narrow_iterate(param: Any, state: Any, hyper: Any) -> Any:
    return param.half()


def item(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad * (1 + 0 * grad.sum().item()), {}


def scaled_item(scale: float, grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - scale * hyper.lr * grad * (1 + 0 * grad.sum().item()), {}


def question(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * (grad if grad.sum() > 0 else 2 * grad), {}


def to_list(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad * (1 + 0 * max(grad.flatten().tolist())), {}


def by_tanh(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad.tanh(), {}


def plain_float(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - float(hyper.lr) * grad, {}


def by_the_norm(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad / (grad.norm() + 1), {}


def writes_into_its_own(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    new = torch.zeros(param.shape, dtype=param.dtype)
    new.copy_(param - hyper.lr * grad)
    return new, {}


def breaks_the_graph(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    torch._dynamo.graph_break()
    return param - hyper.lr * grad, {}


def hardly_moves(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - 1e-9 * hyper.lr * grad, {}


def own_lr(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - SoundHyper.lr * grad, {}


def views(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return (param.view(-1) - hyper.lr * grad.reshape(-1)).view(param.shape), {}


def a_narrow_mean(param: Any, hyper: Any) -> Any:
    return {"mean": torch.zeros_like(param, dtype=torch.float16)}


def keeps_it_narrow(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    m = (state["mean"] + grad).half()
    return param - hyper.lr * m.to(param.dtype), {"mean": m}


def shrinks_all(self: Any, closure: Any = None) -> None:
    for group in self.param_groups:
        for p in group["params"]:
            p.data.mul_(0.5)


def remembers_by_itself(self: Any, closure: Any = None) -> None:
    self.count = getattr(self, "count", 0) + 1
    for group in self.param_groups:
        for p in group["params"]:
            if p.grad is not None:
                p.data.sub_(group["lr"] / self.count * p.grad)


def otherwise_where_fast(self: Any, closure: Any = None) -> None:
    for group in self.param_groups:
        for p in group["params"]:
            p.data.sub_((0.25 if group["fast"] is False else 0.5) * p.grad)


def nothing_at_all(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    param - hyper.lr * grad


def reads_what_is_not_there(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * state["mean"], {}


FIRST = "update returns the parameter and the state of init_state"
PURE = "update leaves its arguments as they are"
APART = "what init_state and update return is new and shared with nothing"
FUNCTION = "the same arguments give the same result"
KINDS = "parameter and state keep their names, shapes and dtypes"
LAYOUT = "the state is laid out as the rule declares it"
COUNTER = "the counter step counts updates"
VALUES = "update asks no tensor for its value"
ELEMENTWISE = "elementwise says whether tensors may be laid end to end"
NUMBERS = "hyperparameters are a frozen dataclass with a default and a range for every number"
ZERO = "a zero gradient moves nothing at first, and gives no nan"
COMPILED = "the fast path equals the eager one, bit for bit"
STACKS = "a run in a stack equals the run alone"
SHAPES = "parameters may be single numbers, empty, or have any number of axes"

FAULTS: list[tuple[str, dict[str, Any]]] = [
    (FIRST, {"init": nothing, "step": nothing_at_all}),
    (FIRST, {"init": nothing, "step": reads_what_is_not_there}),
    (FIRST, {"init": lambda param, hyper: None, "step": descend}),
    ("hyperparameters begin with lr, which may be 0", {"hyper": Late}),
    (NUMBERS, {"hyper": Whole}),
    (NUMBERS, {"hyper": Unbounded}),
    (NUMBERS, {"hyper": Undecorated}),
    ("the class and every hyperparameter are documented", {"hyper": Undescribed}),
    ("the class and every hyperparameter are documented", {"methods": {"__doc__": None}}),
    (PURE, {"init": a_mean, "step": in_place}),
    (PURE, {"init": nothing, "step": spoils_the_gradient}),
    (APART, {"init": a_mean, "step": keeps_the_gradient}),
    (APART, {"init": a_mean, "step": one_tensor_twice}),
    (APART, {"init": one_buffer_for_all, "step": keep}),
    (APART, {"init": an_anchor, "step": keeps_the_first_point}),
    (FUNCTION, {"init": nothing, "step": counts_outside}),
    (FUNCTION, {"init": nothing, "step": draws}),
    ("the first steps go against the gradient", {"init": nothing, "step": climbs}),
    (ZERO, {"init": nothing, "step": divides_by_zero}),
    (KINDS, {"init": a_mean, "step": widens}),
    (KINDS, {"init": nothing, "step": widens_by_a_number}),
    (KINDS, {"init": a_mean, "step": renames}),
    (LAYOUT, {"init": a_norm, "step": remembers_a_norm}),
    (LAYOUT, {"init": a_mean, "step": keep, "scalars": ("mean",)}),
    (LAYOUT, {"init": a_counter_of_its_own}),
    (LAYOUT, {"init": a_mean_somewhere, "step": keep}),
    (COUNTER, {"step": counts_by(2.0)}),
    (COUNTER, {"step": counts_by(0.0)}),
    (COUNTER, {"init": a_wide_counter}),
    ("scalars of the state may be Python numbers", {"init": only_a_step, "step": a_tensors_power}),
    (SHAPES, {"init": nothing, "step": of_vectors}),
    ("the point of evaluation is like the parameter", {"iterate": narrow_iterate}),
    (VALUES, {"init": nothing, "step": item}),
    (VALUES, {"init": nothing, "step": question}),
    (VALUES, {"init": nothing, "step": to_list}),
    (VALUES, {"init": nothing, "step": plain_float}),
    (ELEMENTWISE, {"init": nothing, "step": by_the_norm}),
    (ELEMENTWISE, {"elementwise": False}),
    (STACKS, {"init": nothing, "step": writes_into_its_own}),
    ("torch.compile takes update whole", {"init": nothing, "step": breaks_the_graph}),
    (
        "some learning rate reaches the minimum of a parabola and of Rosenbrock's valley, and "
        "holds it",
        {"init": nothing, "step": hardly_moves},
    ),
    ("a parameter without a gradient is left alone", {"methods": {"step": shrinks_all}}),
    (
        "a parameter whose gradient comes late starts like a new one",
        {"methods": {"step": remembers_by_itself}},
    ),
    ("every parameter group has its own learning rate", {"init": nothing, "step": own_lr}),
    (
        "every floating dtype is kept, with state in float32 or wider",
        {"init": a_narrow_mean, "step": keeps_it_narrow},
    ),
    ("a zero gradient in float16 gives no nan", {"init": nothing, "step": divides_by_zero}),
    ("the order of elements in memory changes nothing", {"init": nothing, "step": views}),
    (
        "a resumed run equals an uninterrupted one, bit for bit",
        {"methods": {"step": remembers_by_itself}},
    ),
    (COMPILED, {"methods": {"step": otherwise_where_fast}}),
    (COMPILED, {"init": nothing, "step": by_tanh, "methods": {"step": otherwise_where_fast}}),
]


def identify(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "-".join(f"{key}={_name(piece)}" for key, piece in value.items())


def _name(piece: Any) -> str:
    if isinstance(piece, dict):
        return ",".join(f"{key}:{_name(value)}" for key, value in piece.items())
    return str(getattr(piece, "__name__", piece))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
@pytest.mark.parametrize("case", cases("sound", a_class()), ids=str)
def test_a_sound_rule_keeps_every_promise(promise: Any, case: Case) -> None:
    result = held(promise, case)
    assert not isinstance(result, Broken)


@pytest.mark.parametrize(("name", "pieces"), FAULTS, ids=identify)
def test_a_planted_fault_breaks_its_promise(name: str, pieces: dict[str, Any]) -> None:
    result = held(BY_NAME[name], a_case(**pieces))
    assert isinstance(result, Broken)
    assert result.expected
    assert result.found


def test_a_kernel_may_round_a_function_of_the_c_library_otherwise() -> None:
    # Over eight elements PyTorch's vectorized tanh and the C library's part in the last bit.
    result = held(BY_NAME[COMPILED], a_case(init=nothing, step=by_tanh))
    assert isinstance(result, str)


def test_a_fault_in_a_partial_function_is_reported_with_its_line() -> None:
    result = held(BY_NAME[VALUES], a_case(init=nothing, step=functools.partial(scaled_item, 2.0)))
    assert isinstance(result, Broken)
    assert "test_faults.py, line" in result.found


MINIMA = next(name for name in BY_NAME if "parabola" in name)


def test_an_exception_is_shown_with_its_line_and_without_an_unfitting_remedy() -> None:
    broken = held(BY_NAME[MINIMA], a_case(init=nothing, step=item))
    assert isinstance(broken, Broken)
    assert broken.mend is None
    assert "RuntimeError: " in broken.found
    assert "test_faults.py, line" in broken.found
    shown = show(Verdict(BY_NAME[MINIMA], ((a_case(), broken),), 1, ()))
    assert "mend" not in shown.split()


@pytest.mark.parametrize(("name", "step"), [(SHAPES, of_vectors), (STACKS, item)])
def test_an_exception_that_is_how_a_promise_breaks_keeps_its_remedy(name: str, step: Any) -> None:
    broken = held(BY_NAME[name], a_case(init=nothing, step=step))
    assert isinstance(broken, Broken)
    assert broken.found.split()[0].endswith("Error:")
    assert "mend" in show(Verdict(BY_NAME[name], ((a_case(), broken),), 1, ())).split()


@pytest.mark.parametrize(
    ("step", "line"),
    [(nothing_at_all, ""), (reads_what_is_not_there, 'state["mean"]')],
)
def test_what_returns_nothing_that_can_be_used_is_held_to_nothing_else(
    step: Any, line: str
) -> None:
    (head, _), (broken, passed), (last, kept) = report_on(
        [("mine", a_class(init=nothing, step=step))]
    )
    assert head.startswith("mine: ")
    assert broken.startswith(f"  FAILED  {FIRST}\n")
    assert (passed, kept) == (False, False)
    assert line in broken
    others = len(PROMISES) - 1
    assert last == f"0 passed, 1 failed; the other {others} promises were not tried"


def test_every_promise_has_a_planted_fault() -> None:
    assert {name for name, _ in FAULTS} == set(BY_NAME)


def test_promises_have_names_and_remedies_of_their_own() -> None:
    assert len(BY_NAME) == len(PROMISES)
    assert all(promise.mend for promise in PROMISES)
