"""A hand-written backward pass under every transform of PyTorch, alone and together."""

from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func
from torch import Tensor
from torch._dynamo.backends.common import aot_autograd
from torch.func import grad, jacrev, vmap
from torch.utils.checkpoint import checkpoint

from optlab.nn.operation import Operation

RUNS, STEPS, ROWS, UNITS = 3, 5, 2, 4
GAIN = 0.7


def forward(
    x: Tensor, start: Tensor, weight: Tensor, bias: Tensor | None, gain: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a recurrent layer; the third output serves `backward` only."""
    states = x.new_empty(x.shape)
    state = start
    for t in range(x.shape[1]):
        z = x[:, t] + state @ weight
        state = states[:, t] = torch.tanh(gain * (z if bias is None else z + bias.unsqueeze(1)))
    return states, state.clone(), 1 - states.square()


def backward(
    from_states: Tensor | None,
    from_last: Tensor | None,
    x: Tensor,
    start: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    states: Tensor,
    last: Tensor,
    slopes: Tensor,
    gain: float,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    of_state = torch.zeros_like(start) if from_last is None else from_last
    of_z = x.new_empty(x.shape)
    for t in reversed(range(x.shape[1])):
        of_state = of_state if from_states is None else of_state + from_states[:, t]
        of_z[:, t] = gain * of_state * slopes[:, t]
        of_state = of_z[:, t] @ weight.transpose(1, 2)
    before = torch.cat([start.unsqueeze(1), states[:, :-1]], 1).flatten(1, 2)
    of_weight = before.transpose(1, 2) @ of_z.flatten(1, 2)
    found = (of_z, of_state.clone(), of_weight, of_z.sum((1, 2)))
    assert needed[3] <= (bias is not None), "no gradient is asked of what is not there"
    kept = [g if wanted else x.new_empty(0) for g, wanted in zip(found, needed, strict=True)]
    return kept[0], kept[1], kept[2], kept[3]


def shapes(
    x: Tensor, start: Tensor, weight: Tensor, bias: Tensor | None, gain: float
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(start), torch.empty_like(x)


def reference(
    x: Tensor, start: Tensor, weight: Tensor, bias: Tensor | None, gain: float
) -> tuple[Tensor, Tensor]:
    states, state = [], start
    for t in range(x.shape[1]):
        z = x[:, t] + state @ weight
        state = torch.tanh(gain * (z if bias is None else z + bias.unsqueeze(1)))
        states.append(state)
    return torch.stack(states, 1), state


TOY = Operation("test_toy", forward, backward, shapes, reference, num_tensors=4, num_outputs=2)


def double(x: Tensor) -> tuple[Tensor]:
    return (2 * x,)


def doubled(grad: Tensor | None, x: Tensor, needed: list[bool]) -> tuple[Tensor]:
    assert grad is not None
    return (2 * grad,)


DOUBLE = Operation(
    "test_double", double, doubled, double, double, num_tensors=1, num_outputs=1, unread=(0,)
)

Params = dict[str, Tensor]


def draw(*shape: int) -> Tensor:
    return torch.randn(
        shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64
    )


PARAMS = {
    "x": draw(RUNS, STEPS, ROWS, UNITS),
    "start": draw(RUNS, ROWS, UNITS),
    "weight": draw(RUNS, UNITS, UNITS),
    "bias": draw(RUNS, UNITS),
}
ONE = {name: value[0] for name, value in PARAMS.items()}
SHARED = {"x": None, "start": 0, "weight": 0, "bias": None}


def loss_by(function: Any) -> Any:
    def loss(params: Params) -> Tensor:
        states, last = function(*(params[name].unsqueeze(0) for name in PARAMS), GAIN)
        return states[0, -1].square().sum() + states.sum() + (last * last).sum()

    return loss


loss, plain_loss = loss_by(TOY), loss_by(reference)


def second(function: Any) -> Any:
    """Return a function whose gradient is of second order."""
    return lambda p: sum(g.square().sum() for g in grad(function)(p).values())


TRANSFORMS: dict[str, Any] = {
    "grad": lambda f: grad(f)(ONE),
    "vmap of grad": lambda f: vmap(grad(f))(PARAMS),
    "vmap of grad, some shared": lambda f: vmap(grad(f), (SHARED,))(
        {name: value if SHARED[name] == 0 else value[0] for name, value in PARAMS.items()}
    ),
    "vmap of vmap": lambda f: vmap(vmap(grad(f)))(
        {name: value.unflatten(0, (1, RUNS)) for name, value in PARAMS.items()}
    ),
    "vmap over the last axis": lambda f: vmap(grad(f), -1)(
        {name: value.movedim(0, -1) for name, value in PARAMS.items()}
    ),
    "vmap of grad of one": lambda f: vmap(grad(lambda w, rest: f({**rest, "weight": w})))(
        PARAMS["weight"], {name: value for name, value in PARAMS.items() if name != "weight"}
    ),
    "jacrev": lambda f: jacrev(f)(ONE),
    "jacrev of jacrev": lambda f: jacrev(jacrev(f))(ONE),
    "vmap of grad of grad": lambda f: vmap(grad(second(f)))(PARAMS),
}


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_finite_differences_twice(bias: bool) -> None:
    given = [PARAMS[name].clone().requires_grad_() for name in PARAMS]
    tensors = given if bias else given[:3]
    rest = () if bias else (None,)

    def call(*some: Tensor) -> tuple[Tensor, ...]:
        return TOY(*some, *rest, GAIN)

    assert torch.autograd.gradcheck(call, tensors)
    assert torch.autograd.gradgradcheck(call, tensors)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_gives_what_it_gives_for_plain_operations(name: str) -> None:
    # Rounding of a float64 sum in another order.
    torch.testing.assert_close(
        TRANSFORMS[name](loss), TRANSFORMS[name](plain_loss), rtol=1e-11, atol=1e-11
    )


def test_only_wanted_gradients_are_asked_for() -> None:
    asked: list[list[bool]] = []

    def spy(*arguments: Any) -> Any:
        asked.append(arguments[-1])
        return backward(*arguments)

    operation = Operation("test_spied", forward, backward, shapes, reference, 4, 2)
    operation._backward = spy
    weight = PARAMS["weight"].clone().requires_grad_()
    states, _ = operation(PARAMS["x"], PARAMS["start"], weight, None, GAIN)
    states.sum().backward()
    assert asked == [[False, False, True, False]]


def test_saved_tensors_may_be_computed_again() -> None:
    """Checkpointing gives each of them away once."""
    given = {name: value.clone().requires_grad_() for name, value in ONE.items()}
    checkpoint(loss, given, use_reentrant=False).backward()
    torch.testing.assert_close(given["weight"].grad, grad(loss)(ONE)["weight"], rtol=0, atol=0)


def test_results_without_gradients_need_no_graph() -> None:
    states, last = TOY(*PARAMS.values(), GAIN)
    assert not states.requires_grad
    assert not last.requires_grad


@pytest.mark.parametrize("compiled", [False, True])
def test_a_result_that_is_not_read_may_be_written_over(compiled: bool) -> None:
    def root(x: Tensor) -> Tensor:
        (y,) = DOUBLE(x)
        return y.sqrt_().sum() + DOUBLE(x)[0].clone().add_(1).sum()

    torch._dynamo.reset()
    x = torch.full((2, 3), 8.0, requires_grad=True)
    (torch.compile(root, fullgraph=True, backend="aot_eager") if compiled else root)(x).backward()
    torch.testing.assert_close(x.grad, torch.full((2, 3), 1 / 4 + 2))


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_compiled_stack_equals_the_plain_one(dynamic: bool) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(vmap(grad(loss)), fullgraph=True, dynamic=dynamic, backend="aot_eager")
    torch.testing.assert_close(compiled(PARAMS), vmap(grad(plain_loss))(PARAMS))


def test_a_compiled_graph_holds_the_loop_as_one_node() -> None:
    torch._dynamo.reset()
    seen: list[int] = []

    def count(module: torch.fx.GraphModule, inputs: Any) -> Any:
        seen.append(sum("optlab.test_toy" in str(node.target) for node in module.graph.nodes))
        seen.append(len(module.graph.nodes))
        return make_boxed_func(module.forward)

    backend = aot_autograd(fw_compiler=count, bw_compiler=count)
    params = {name: value.clone().requires_grad_() for name, value in ONE.items()}
    torch.compile(loss, fullgraph=True, backend=backend)(params).backward()
    operators, nodes = seen[0::2], seen[1::2]
    assert operators == [1, 1]
    assert max(nodes) < 12 * STEPS, "an unrolled loop has more nodes than that"
    torch.testing.assert_close(params["weight"].grad, grad(plain_loss)(ONE)["weight"])
