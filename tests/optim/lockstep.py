"""Trainings of an optimizer class beside its references, compared bit by bit after every step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optlab.optim import RuleOptimizer
from optlab.registry import optimizers
from tests.optim import transformed
from tests.optim.reference import Reference, differences

OptimizerClass = type[RuleOptimizer]
Driver = Mapping[str, Any]
Params = list[nn.Parameter]
#: Fills the gradients before a step: ``(step, params)``.
Backward = Callable[[int, Params], None]
#: Something that happens to an optimizer, which goes on unless another one is returned.
Event = Callable[[Any, Params], Any]

#: Ways in which a class may carry out its updates: options of the constructor.
DRIVERS: dict[str, Driver] = {"eager": {"fast": False}, "automatic": {}}
every_driver = pytest.mark.parametrize("driver", DRIVERS.values(), ids=DRIVERS)
#: Every registered class once, although it may have several names, and some transformed ones.
CLASSES = {make: name for name, make in optimizers.items()}
CLASSES |= {make: make.__name__ for make in transformed.CLASSES}
every_class = pytest.mark.parametrize("make", CLASSES, ids=CLASSES.values())


def random_like(param: Tensor, seed: int) -> Tensor:
    """Return normal numbers of the dtype, shape and strides of ``param``."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(param.shape, generator=generator, dtype=torch.float64)
    return torch.empty_like(param).copy_(noise)


def tensors(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [random_like(torch.empty(s, dtype=dtype), seed=i) for i, s in enumerate(shapes)]


def random_gradients(step: int, params: Params) -> None:
    for index, param in enumerate(params):
        param.grad = random_like(param.detach(), seed=1000 * step + index + 7)


def with_pauses(step: int, params: Params) -> None:
    """Give no gradient in step 2, and none to the first parameter from step 3 to 5."""
    random_gradients(step, params)
    for index, param in enumerate(params):
        if step == 2 or (index == 0 and 3 <= step < 5):
            param.grad = None


def lockstep(
    make: OptimizerClass,
    first: Sequence[Tensor],
    driver: Driver,
    *,
    steps: int = 8,
    backward: Backward = random_gradients,
    events: Mapping[int, Event] | None = None,
    split: int | None = None,
    second: Mapping[str, Any] | None = None,
    moves: bool = True,
    **options: Any,
) -> None:
    """Train with a class and with its references; all have to make the same steps.

    Args:
        make: The class.
        first: First values of the parameters.
        driver: Options of the class that the references do not need.
        steps: Number of updates.
        backward: Gives the gradients of a step.
        events: What happens before a step.
        split: First parameter of the second group; None for one group.
        second: Options of the second group.
        moves: Whether some parameter has to end elsewhere than it began.
        options: Options of the class.
    """

    def side(build: Callable[..., Any], **chosen: Any) -> list[Any]:
        params = [nn.Parameter(tensor.detach().clone()) for tensor in first]
        groups: Any = params
        if split is not None:
            groups = [{"params": params[:split]}, {"params": params[split:], **(second or {})}]
        return [build(groups, **chosen, **options), params]

    sides = [side(make, **driver)]
    sides += [side(lambda p, **o: Reference(make, p, **o), correct=c) for c in (False, True)]
    for step in range(steps):
        for pair in sides:
            happened = events[step](*pair) if events and step in events else None
            pair[0] = pair[0] if happened is None else happened
            backward(step, pair[1])
            pair[0].step()
        compare(*sides, when=f"step {step}")
    before = torch.cat([tensor.flatten().double() for tensor in first])
    after = torch.cat([p.detach().flatten().double() for p in sides[0][1][: len(first)]])
    assert not (moves and torch.equal(before, after))


def compare(side: Any, *references: Any, when: str) -> None:
    """Every parameter has to be, with its state, as in one of the references.

    The others follow that one: which way a class goes may change from step to step.
    """
    optimizer, params = side
    for index, param in enumerate(params):
        found = [differences(optimizer, param, r, twins[index]) for r, twins in references]
        assert not all(found), f"{when}, parameter {index} of {tuple(param.shape)}: {found}"
        right, twins = references[found.index([])]
        for other, its in references:
            other.follow(its[index], right, twins[index])
