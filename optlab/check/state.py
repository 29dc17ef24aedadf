"""What a rule remembers of a tensor, and the kinds of numbers and tensors that it takes."""

import torch
from torch import Tensor

from optlab.check.case import Case, random, with_tensors
from optlab.check.promise import expect, promise
from optlab.optim.rule import NewState, with_numbers
from optlab.optim.trial import kind_of, walk

DTYPES = (torch.float32, torch.float64)


@promise(
    "parameter and state keep their names, shapes and dtypes",
    mend="return the entries that init_state makes; a 0-d float64 tensor times a float32 tensor is "
    "float32, one of shape (1,) or made by torch.tensor([..]) makes it float64",
)
def keeps_names_shapes_and_dtypes(case: Case) -> None:
    """In both precisions, with numbers and with 0-d tensors for hyperparameters."""
    rule = case.rule
    for dtype in DTYPES:
        for hyper in (case.hyper, with_tensors(case.hyper)):
            param = random(4, 3, dtype=dtype)
            first = _kinds(rule.init_state(param, hyper))
            new, last = walk(rule, hyper, param, random(3, 4, 3, dtype=dtype))
            expect(kind_of(new) == kind_of(param), f"a parameter {kind_of(param)}", kind_of(new))
            found = _kinds(last)
            expect(set(found) == set(first), f"the entries {sorted(first)}", str(sorted(found)))
            for name, kind in first.items():
                expect(found[name] == kind, f"{name} {kind}", found[name])


@promise(
    "the state is laid out as the rule declares it",
    mend="name every entry that is one number per tensor in Rule(scalars=...), make it with "
    "zero_step() or scalar(x), and make the others with torch.zeros_like(param)",
)
def is_laid_out_as_declared(case: Case) -> None:
    """Scalars are 0-d and on the CPU; what an elementwise rule keeps else is like the parameter.

    Both hold whatever `torch.set_default_device` was given: what follows it would be on "meta".
    """
    param, rule = random(4, 3), case.rule
    with torch.device("meta"):
        state = rule.init_state(param, case.hyper)
    for name, value in state.items():
        expect(isinstance(value, Tensor), f"a tensor {name}", type(value).__name__)
        if name in rule.scalars:
            is_number = value.ndim == 0 and value.device.type == "cpu"
            expect(is_number, f"{name} 0-d on the CPU", f"{kind_of(value)} on {value.device}")
            continue
        beside = value.device == param.device
        expect(beside, f"{name} on the parameter's device", f"one on {value.device}")
        if rule.elementwise:
            expect(value.shape == param.shape, f"{name} {tuple(param.shape)}", kind_of(value))


@promise(
    "the counter step counts updates",
    mend='begin with zero_step() and return "step": state["step"] + 1',
)
def counts(case: Case) -> None:
    """It is torch's: 0-d, float32, on the CPU."""
    _, state = walk(case.rule, case.hyper, random(3), random(4, 3))
    if "step" not in state:
        return
    step = state["step"]
    expect(step.item() == 4.0, "step 4 after 4 updates", f"{step.item():g}")
    expect(step.dtype == torch.float32, "a float32 step", str(step.dtype))


@promise(
    "scalars of the state may be Python numbers",
    mend='use bias_correction(beta, t), or beta ** as_float64(t), instead of methods of state["step'
    '"], which may be a float',
    mends_errors=True,
)
def takes_python_numbers(case: Case) -> None:
    """Drivers hold them so, because arithmetic on numbers is quicker than on tensors."""
    rule, hyper = case.rule, case.hyper
    grads, param = random(6, 3, dtype=torch.float64), random(3, dtype=torch.float64)
    expected, _ = walk(rule, hyper, param, grads)
    state: NewState = with_numbers(rule.init_state(param, hyper), rule)
    for grad in grads:
        param, state = rule.update(grad, param, state, hyper)
    # The powers of beta are taken by Python's pow or torch's, which differ in the last bit.
    close = torch.allclose(param, expected, rtol=1e-14, atol=1e-15)
    expect(close, "the path with tensors, to 1e-14", f"{param.tolist()}, not {expected.tolist()}")
    kept = {name: type(state[name]).__name__ for name in rule.scalars if name in state}
    expect(set(kept.values()) <= {"float"}, "numbers for numbers", str(kept))


@promise(
    "parameters may be single numbers, empty, or have any number of axes",
    mend="reduce over all axes, x.sum(), rather than over named ones, and treat param.ndim < 2 "
    "where the method is for matrices",
    mends_errors=True,
)
def takes_every_shape(case: Case) -> None:
    """Scales, masked-out parts and kernels of convolutions are parameters too."""
    for shape in ((), (0,), (1,), (0, 3), (2, 3, 2, 2)):
        new, _ = walk(case.rule, case.hyper, random(*shape, seed=1), random(2, *shape, seed=2))
        expect(new.shape == torch.Size(shape), f"shape {shape}", str(tuple(new.shape)))
        expect(bool(new.isfinite().all()), f"finite numbers of shape {shape}", str(new.tolist()))


@promise(
    "the point of evaluation is like the parameter",
    mend="return a new tensor from iterate, of the parameter's shape and dtype",
)
def has_an_iterate_like_the_parameter(case: Case) -> None:
    """Only for rules that take gradients elsewhere than where the model is judged (NAG)."""
    rule, hyper = case.rule, case.hyper
    if rule.iterate is None:
        return
    param, state = walk(rule, hyper, random(4, 3), random(2, 4, 3, seed=1))
    before = param.clone()
    for numbers in (state, with_numbers(state, rule)):
        point = rule.iterate(param, numbers, hyper)
        expect(kind_of(point) == kind_of(param), kind_of(param), kind_of(point))
    expect(torch.equal(param, before), "the parameter as it was", "it changed")


def _kinds(state: NewState) -> dict[str, str]:
    return {name: kind_of(value) for name, value in state.items()}
