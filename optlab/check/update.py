"""What `Rule.update` does as a function: it is pure, and it descends."""

import torch
from torch import Tensor

from optlab.check.case import Case, distance, random, tensors_of, without_decay
from optlab.check.promise import expect, promise
from optlab.optim.rule import with_numbers
from optlab.optim.trial import walk

_Named = dict[str, Tensor]


@promise(
    "update leaves its arguments as they are",
    mend="make new tensors, m = beta * m + g, where it writes into old ones: m.mul_(beta), +=, "
    "out=",
)
def leaves_arguments_alone(case: Case) -> None:
    """Drivers call it on tensors that are somebody's parameters and gradients."""
    rule, hyper = case.rule, case.hyper
    param, state = walk(rule, hyper, random(5, seed=1), random(2, 5, seed=2))
    given = {"grad": random(5, seed=3), "param": param, **tensors_of(state)}
    before = {name: value.clone() for name, value in given.items()}
    names = list(state)
    rule.update(given["grad"], param, state, hyper)
    changed = [name for name, value in given.items() if not torch.equal(value, before[name])]
    expect(not changed, "the same values after the call", f"{', '.join(changed)} changed")
    expect(list(state) == names, f"the entries {names} after the call", str(list(state)))


@promise(
    "what init_state and update return is new and shared with nothing",
    mend="return a clone() of a tensor that is kept as it is, and make states anew in init_state",
)
def shares_nothing(case: Case) -> None:
    """Drivers write results into parameters and states in place, the parameter first.

    With numbers for scalars `choose` and `either` return what they chose, not a copy of it.
    """
    rule, hyper = case.rule, case.hyper
    param = random(5, seed=1)
    first, second = rule.init_state(param, hyper), rule.init_state(param, hyper)
    _expect_apart(
        _prefixed("a state", first) | {"param": param}, _prefixed("the next state", second)
    )
    for state in (first, with_numbers(second, rule)):
        point = param
        for grad in random(3, 5, seed=2):
            given = {"grad": grad, "param": point} | _prefixed("old", state)
            point, state = rule.update(grad, point, state, hyper)
            made = {"new param": point} | _prefixed("new", state)
            _expect_apart(given, made)
            for name in made:
                _expect_apart({name: made[name]}, {n: v for n, v in made.items() if n != name})


@promise(
    "the same arguments give the same result",
    mend="keep everything that changes in the state; keep no tensor or counter outside, and draw "
    "no random numbers",
)
def is_a_function(case: Case) -> None:
    """A run is then a function of its configuration."""
    rule, hyper = case.rule, case.hyper
    grads = random(3, 5, seed=2)
    first, first_state = walk(rule, hyper, random(5, seed=1), grads)
    again, again_state = walk(rule, hyper, random(5, seed=1), grads)
    expect(torch.equal(first, again), "equal parameters", distance(first, again))
    for name, value in tensors_of(first_state).items():
        same = torch.equal(value, again_state[name])
        expect(same, f"equal {name}", distance(value, again_state[name]))


@promise(
    "the first steps go against the gradient",
    mend="subtract the step: param - hyper.lr * ...",
)
def descends(case: Case) -> None:
    """Two steps, because a rule may spend the first on measuring (SOAP)."""
    grad, param = random(5, 3, seed=1), random(5, 3, seed=2)
    new, _ = walk(case.rule, case.hyper, param, grad.expand(2, 5, 3))
    slope = ((new - param) * grad).sum().item()
    expect(slope < 0, "a negative product of step and gradient", f"{slope:.3g}")


@promise(
    "a zero gradient moves nothing at first, and gives no nan",
    mend="keep divisors from zero: root(v, hyper.eps, ...), or add eps; 0 / 0 is nan",
)
def stays_where_the_gradient_is_zero(case: Case) -> None:
    """What a rule's own decay moves, it moves without a gradient; that is switched off here."""
    param = random(5)
    hyper = case.hyper.with_values(**without_decay(case.rule.hyper))
    new, state = walk(case.rule, hyper, param, torch.zeros(1, 5))
    expect(torch.equal(new, param), "the parameter as it was", distance(new, param))
    broken = [name for name, value in tensors_of(state).items() if not value.isfinite().all()]
    expect(not broken, "a finite state", f"nan or inf in {', '.join(broken)}")


def _prefixed(word: str, state: object) -> _Named:
    entries = tensors_of(state) if isinstance(state, dict) else {}
    return {f"{word} {name}".strip(): value for name, value in entries.items()}


def _expect_apart(given: _Named, made: _Named) -> None:
    """Expect that no two tensors of the two sides lie in the same memory."""
    for name, value in made.items():
        same = [other for other, old in given.items() if _memory(old) & _memory(value)]
        expect(not same, f"memory of its own for the {name}", f"that of the {', '.join(same)}")


def _memory(value: Tensor) -> set[int]:
    return {value.untyped_storage().data_ptr()} if value.numel() else set()
