"""What has a formula per element, and what is refused with the reason."""

from typing import Any

import pytest
import torch
from torch import Tensor

from optlab.optim import Adam
from optlab.optim.fast import NotCompiled, kernel_for
from optlab.optim.fast.trace import record
from optlab.optim.groups import GradientOptions
from tests.optim.fast.formulas import Formula, compiled, kernel_of

ELSEWHERE = torch.ones(2)


def branch(g: Tensor, p: Tensor, x: Any) -> Tensor:
    return p - g if x > 0.3 else p


def in_place(g: Tensor, p: Tensor, x: Any) -> Tensor:
    return (p * 2).add_(g)


REFUSED: dict[str, tuple[Formula, str]] = {
    "branch on a number": (branch, "asks for the value of a tensor"),
    "item": (lambda g, p, x: p - g * x.item(), "asks for the value of a tensor"),
    "in place": (in_place, "aten.add_ writes into its argument"),
    "sum": (lambda g, p, x: p - g.sum(), "aten.sum .* has no compiled form"),
    "norm": (lambda g, p, x: p - g / g.norm(), "has no compiled form"),
    "order of elements": (lambda g, p, x: p - g.flip(0), "aten.flip .* has no compiled form"),
    "joined": (lambda g, p, x: torch.cat([p, g])[:2], "joins tensors"),
    "a tensor of its own": (lambda g, p, x: p - ELSEWHERE, "not among its arguments"),
    "another shape": (lambda g, p, x: p - g[:1], "another shape"),
    "integers": (lambda g, p, x: p - g.long(), "has no compiled form"),
    "low precision": (lambda g, p, x: p - g.half(), "has no compiled form"),
    "alpha": (lambda g, p, x: torch.add(p, g, alpha=2), "aten.add with"),
    "one number": (lambda g, p, x: x * 1.0, "would become one number"),
    "no tensor": (lambda g, p, x: 1.0, "returned 1.0 where a tensor was expected"),
}


@pytest.mark.parametrize(("formula", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_formula_per_element_is_refused(formula: Formula, reason: str) -> None:
    with pytest.raises(NotCompiled, match=reason):
        kernel_of(formula)


def test_a_formula_lists_operations_in_their_order() -> None:
    def formula(x: Tensor, g: Tensor, p: Tensor) -> list[Tensor]:
        return [p - x * g]

    inputs = [torch.tensor(0.5, dtype=torch.float64), torch.ones(2), torch.ones(2)]
    recorded = record(formula, inputs)
    assert [operation.name for operation in recorded.operations] == ["mul", "sub"]
    assert [value.scalar for value in recorded.inputs] == [True, False, False]
    assert recorded.outputs == [recorded.operations[-1].result]


def test_a_new_tensor_that_reuses_memory_is_another_value() -> None:
    # Without references of its own the recorder would take it for the one that is gone.
    def formula(g: Tensor, p: Tensor, x: Any) -> Tensor:
        for _ in range(50):
            g = g + 1.0
            p = p * 1.5 - g
        return p

    grad, param = torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(compiled(formula, grad, param), formula(grad, param, 0.5))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int32], ids=str)
def test_unknown_dtypes_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(NotCompiled, match=f"tensors of {dtype}"):
        kernel_of(lambda g, p, x: p - g, dtype)


def test_rules_of_whole_tensors_are_refused() -> None:
    from dataclasses import replace

    rule, param = replace(Adam.rule, elementwise=False), torch.ones(2)
    state = rule.init_state(param, rule.hyper())
    with pytest.raises(NotCompiled, match="looks at whole tensors"):
        kernel_for(rule, rule.hyper(), GradientOptions(), param, state)


def test_a_kernel_is_made_once_for_all_numbers() -> None:
    def kernel(**values: Any) -> Any:
        hyper, param = Adam.rule.hyper(**values), torch.ones(2)
        state = Adam.rule.init_state(param, hyper)
        return kernel_for(Adam.rule, hyper, GradientOptions(), param, state)

    assert kernel(lr=0.1) is kernel(lr=0.2, beta1=0.5)
    assert kernel() is not kernel(bias_correction=False)
