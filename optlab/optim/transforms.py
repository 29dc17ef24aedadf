"""What goes around any rule: a cautious mask, a running mean of the weights, Lookahead. Pure.

A transform takes a `Rule` and returns one, so that whatever runs rules runs the result: optimizer
objects, the training step and stacks of runs. Its numbers become hyperparameters beside the rule's
own (``ema_decay``, ``lookahead_steps``, ``lookahead_alpha``), its memory becomes entries of the
state. `optlab.optim.transformed` makes optimizer classes of them; by hand it is

    class CautiousAdam(Adam):
        rule = cautious(Adam.rule)

Their order matters: `averaged` as the outermost averages the points at which the model would be
judged without it.
"""

from dataclasses import field, make_dataclass, replace
from inspect import getdoc
from typing import Annotated, Any

import torch
from torch import Tensor

from optlab.config import ConfigError, check_value
from optlab.optim.math import bias_correction, choose, ema, is_zero, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.types import Count, Decay, Range

Pull = Annotated[float, Range(low=0.0, high=1.0, open_low=True)]


def cautious(rule: Rule) -> Rule:
    """Return a rule that moves only the elements whose step agrees with the present gradient.

    With u the step of ``rule`` (``w - u`` is its new parameter) and n the tensor's elements:

        mask = 1 where u * g > 0, else 0
        w = w - mask * u * n / (sum(mask) + 1)

    What ``weight_decay`` adds to the step where it is one of the rule's hyperparameters (AdamW,
    Lion) is outside the mask, as in the authors' code; the rule then runs twice. An element without
    a gradient counts as one that disagrees: where gradients are sparse, the others' steps grow. The
    state is that of ``rule``. The mask looks at a whole tensor: the result is not elementwise.

    Source: Liang, Chen, Liu and Liu (2024), Cautious Optimizers (arXiv 2411.16085), Algorithm 1
    with the factor of the first release, dim / (nnz + 1). timm and later releases divide by
    max(mean(mask), 1e-3) instead, which leaves tensors of one element as they are (here: half).
    """

    def update(grad: Tensor, param: Tensor, state: State, hyper: Any) -> tuple[Tensor, NewState]:
        new, new_state = rule.update(grad, param, state, hyper)
        bare, start = new, param
        if not is_zero(getattr(hyper, "weight_decay", 0.0)):
            without = hyper.with_values(weight_decay=0.0)
            bare = rule.update(grad, param, state, without)[0]
            start = param + (new - bare)
        step = param - bare
        agrees = step.sign() * grad.sign() > 0  # a product of two small numbers could be zero
        scale = param.numel() / (agrees.sum() + 1).to(param.dtype)
        return torch.where(agrees, start - scale * step, start), new_state

    return replace(rule, update=update, elementwise=False, torch_group=None)


def averaged(rule: Rule, decay: float = 0.999, bias_correction: bool = True) -> Rule:
    """Return a rule whose iterate is an exponential moving average of its points.

    With w the point after update t, d the decay and a the average, at t = 0 the first point:

        b = d * (1 - d^(t-1)) / (1 - d^t), or d without the correction
        a = b * a + (1 - b) * w

    Training is as without it; evaluation (``at_iterate``) is at the average. What is averaged is
    the parameter or, where ``rule`` has an iterate of its own (NAG), that iterate. Buffers such as
    the running statistics of batch normalization are those of the training, not of the average.

    Args:
        rule: The rule.
        decay: Default of the hyperparameter ``ema_decay``: about ``1 / (1 - decay)`` points count.
        bias_correction: Default of ``ema_bias_correction``: divide by the sum of the weights, so
            that the average is of points after an update alone. Otherwise it begins at the point
            before the first, as torch's `AveragedModel` with an EMA does when its first
            ``update_parameters`` comes before training.

    Source: Polyak and Juditsky (1992) for averaging; the correction is that of Kingma and Ba
    (2015), section 3, course notes, row OPT-38.
    """
    hyper = _with_fields(
        rule.hyper,
        {
            "ema_decay": (Decay, check_value(decay, Decay, "averaged.decay")),
            "ema_bias_correction": (bool, bias_correction),
        },
        "    ema_decay: Decay of the average of points at which the model is judged.\n"
        "    ema_bias_correction: Divide that average by the sum of its weights.",
    )

    def point(param: Tensor, state: State, hyper: Any) -> Tensor:
        return param if rule.iterate is None else rule.iterate(param, state, hyper)

    def init_state(param: Tensor, hyper: Any) -> NewState:
        state = rule.init_state(param, hyper)
        first = point(param, state, hyper).clone()
        return {**state, "ema_step": zero_step(), "ema_param": first}

    def update(grad: Tensor, param: Tensor, state: State, hyper: Any) -> tuple[Tensor, NewState]:
        new, new_state = rule.update(grad, param, state, hyper)
        t = state["ema_step"] + 1
        beta = _kept(hyper.ema_decay, t) if hyper.ema_bias_correction else hyper.ema_decay
        average = ema(state["ema_param"], point(new, new_state, hyper), beta)
        return new, {**new_state, "ema_step": t, "ema_param": average}

    def iterate(param: Tensor, state: State, hyper: Any) -> Tensor:
        average: Tensor = state["ema_param"]
        return average.clone()

    return replace(
        rule,
        hyper=hyper,
        init_state=init_state,
        update=update,
        scalars=(*rule.scalars, "ema_step"),
        iterate=iterate,
        torch_group=None,
    )


def lookahead(rule: Rule, steps: int = 5, alpha: float = 0.5) -> Rule:
    """Return a rule that every few steps draws its parameter back to slow weights.

    After every k-th step of ``rule`` on the fast weights w, the slow weights s (w at first) follow,
    and the fast weights start again from them; the state of ``rule`` is kept:

        s = s + alpha * (w - s)
        w = s

    The iterate, at which the model is judged, is s, or what ``rule`` makes of s where it has an
    iterate of its own.

    Args:
        rule: The rule.
        steps: Default of the hyperparameter ``lookahead_steps``, k.
        alpha: Default of the hyperparameter ``lookahead_alpha``, in (0, 1].

    Source: Zhang, Lucas, Hinton and Ba (2019), Lookahead Optimizer: k steps forward, 1 step back
    (arXiv 1907.08610), Algorithm 1, with the inner state maintained.
    """
    hyper = _with_fields(
        rule.hyper,
        {
            "lookahead_steps": (Count, check_value(steps, Count, "lookahead.steps")),
            "lookahead_alpha": (Pull, check_value(alpha, Pull, "lookahead.alpha")),
        },
        "    lookahead_steps: Steps of the fast weights for one of the slow weights.\n"
        "    lookahead_alpha: Share of the way that the slow weights follow.",
    )

    def init_state(param: Tensor, hyper: Any) -> NewState:
        own = {"lookahead_step": zero_step(), "lookahead_param": param.clone()}
        return {**rule.init_state(param, hyper), **own}

    def update(grad: Tensor, param: Tensor, state: State, hyper: Any) -> tuple[Tensor, NewState]:
        fast, new_state = rule.update(grad, param, state, hyper)
        t, slow = state["lookahead_step"] + 1, state["lookahead_param"]
        due = t % hyper.lookahead_steps == 0
        met = ema(slow, fast, 1 - hyper.lookahead_alpha)
        # A copy: where t is a number, `choose` gives its argument, and no two may share memory.
        own = {"lookahead_step": t, "lookahead_param": choose(due, met, slow).clone()}
        return choose(due, met, fast), {**new_state, **own}

    def iterate(param: Tensor, state: State, hyper: Any) -> Tensor:
        slow: Tensor = state["lookahead_param"]
        return slow.clone() if rule.iterate is None else rule.iterate(slow, state, hyper)

    return replace(
        rule,
        hyper=hyper,
        init_state=init_state,
        update=update,
        scalars=(*rule.scalars, "lookahead_step"),
        iterate=iterate,
        torch_group=None,
    )


def _kept(decay: Any, t: Any) -> Any:
    """Return the weight of the past in a corrected average of ``t`` values: 0 at the first."""
    return decay * bias_correction(decay, t - 1) / bias_correction(decay, t)


def _with_fields(hyper: type[Hyper], new: dict[str, tuple[Any, Any]], lines: str) -> type[Hyper]:
    """Return ``hyper`` with more fields, each given by annotation and default."""
    for name in new:
        if name in hyper.__dataclass_fields__:
            raise ConfigError(f"{hyper.__name__} has {name!r} already: a transform is applied once")
    known = getdoc(hyper) or ""
    doc = known if "Attributes:\n" in known else f"{known}\n\nAttributes:"
    made = make_dataclass(
        hyper.__name__,
        [(n, kind, field(default=value, kw_only=True)) for n, (kind, value) in new.items()],
        bases=(hyper,),
        frozen=True,
        namespace={"__doc__": f"{doc.rstrip()}\n{lines}"},
    )
    made.__module__ = hyper.__module__  # Python 3.12 sets it to this one
    return made
