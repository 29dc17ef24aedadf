"""The two kernels of an LSTM direction: against each other, under transforms, at the edges."""

import ctypes

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError
from optlab.nn.native import library
from optlab.nn.recurrent import LSTM, lstm_operation
from optlab.nn.recurrent.lstm_operation import lstm_direction

KERNELS = pytest.mark.parametrize("kernel", ["c", "eager"], indirect=True)


@pytest.fixture
def kernel(request, monkeypatch):
    """Let one of the kernels do the work."""
    if request.param == "eager":
        monkeypatch.setattr(lstm_operation, "is_native", lambda *_: False)
    elif not isinstance(library("lstm"), ctypes.CDLL):
        pytest.skip("there is no compiler")
    return request.param


def numbers(*shape, seed=0, dtype=torch.float64):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=stream, dtype=torch.float64).to(dtype)


def arguments(runs=1, steps=4, batch=3, inputs=2, hidden=5, bias=True, dtype=torch.float64):
    """Tensors as `lstm_direction` takes them, without lengths."""
    shapes = [(steps, batch, inputs), (batch, hidden), (batch, hidden)]
    shapes += [(4 * hidden, inputs), (4 * hidden, hidden)]
    tensors = [numbers(runs, *shape, seed=k, dtype=dtype) for k, shape in enumerate(shapes)]
    biases = [numbers(runs, 4 * hidden, seed=8 + k, dtype=dtype) for k in range(2)]
    return [*tensors, *(biases if bias else [None, None])]


def results(tensors, lengths=None, reverse=False):
    """Outputs and all gradients of a number that depends on every output."""
    leaves = [None if t is None else t.detach().clone().requires_grad_() for t in tensors]
    found = lstm_direction(*leaves, lengths, reverse, True)
    total = sum((numbers(*o.shape, seed=30, dtype=o.dtype) * o).sum() for o in found)
    return [*found, *torch.autograd.grad(total, [t for t in leaves if t is not None])]


def relative(mine, wanted):
    wanted = wanted.detach().double()
    return float((mine.detach() - wanted).abs().max() / wanted.abs().max())


SIZES = [
    {"steps": 5, "batch": 7, "inputs": 3, "hidden": 6},
    {"steps": 3, "batch": 70, "inputs": 28, "hidden": 128},  # long sums, whole vectors
    {"steps": 300, "batch": 1, "inputs": 1, "hidden": 17},  # more steps than fit in a chunk
    {"steps": 3, "batch": 260, "inputs": 2, "hidden": 70},  # a chunk of one step, many vectors
    {"steps": 1, "batch": 2, "inputs": 130, "hidden": 33},
    {"runs": 3, "steps": 4, "batch": 13, "inputs": 70, "hidden": 48, "bias": False},
]


@KERNELS
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("reverse", [False, True])
def test_equals_the_definition_with_all_gradients(kernel, sizes, reverse):
    tensors = arguments(**sizes)
    lengths = None
    if sizes["steps"] > 1:
        shape = (tensors[0].shape[0], sizes["batch"])
        stream = torch.Generator().manual_seed(3)
        lengths = torch.randint(0, sizes["steps"] + 1, shape, generator=stream)
    mine = results(tensors, lengths, reverse)
    leaves = [None if t is None else t.clone().requires_grad_() for t in tensors]
    wanted = lstm_operation._reference(*leaves, lengths, reverse, True)
    total = sum((numbers(*o.shape, seed=30) * o).sum() for o in wanted)
    gradients = torch.autograd.grad(total, [t for t in leaves if t is not None])
    for own, other in zip(mine, [*wanted, *gradients], strict=True):
        # Sums of up to 2000 products of float64, in different orders.
        assert relative(own, other) < 1e-12


@KERNELS
def test_single_precision_differs_from_double_by_its_roundings(kernel):
    tensors = arguments(steps=20, batch=64, inputs=28, hidden=128)
    tensors[3:] = [t * 0.1 for t in tensors[3:]]
    wanted = results(tensors)
    for own, other in zip(results([t.float() for t in tensors]), wanted, strict=True):
        assert relative(own, other) < 3e-6


@pytest.mark.parametrize("kernel", ["c"], indirect=True)
def test_sums_over_many_steps_are_as_exact_as_over_few(kernel):
    tensors = arguments(steps=200, batch=300, inputs=2, hidden=5)
    tensors[0] += 1
    tensors[3:] = [t * 0.3 for t in tensors[3:]]
    found = results([t.float() for t in tensors])
    for own, other in zip(found[6:], results(tensors)[6:], strict=True):
        # One running sum over 60,000 rows would be off by 5e-6.
        assert relative(own, other) < 2e-6


@KERNELS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(kernel, dtype):
    tensors = [t.to(dtype) for t in arguments(steps=10, hidden=20)]
    wanted = results([t.float() for t in tensors])
    for own, other in zip(results(tensors), wanted, strict=True):
        assert own.dtype == dtype
        # Gradients are made from outputs that were rounded: a few roundings of the dtype.
        assert relative(own.float(), other) < 4 * torch.finfo(dtype).eps


@KERNELS
def test_autocasting_lowers_no_precision(kernel):
    tensors = arguments(steps=10, hidden=20, dtype=torch.float32)
    wanted = results(tensors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = results(tensors)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@KERNELS
@pytest.mark.parametrize("bias", [(0,), (1,)])
def test_one_bias_alone(kernel, bias):
    tensors = arguments()
    both = [tensors[5 + i] if i in bias else torch.zeros_like(tensors[5]) for i in (0, 1)]
    given = [tensors[5 + i] if i in bias else None for i in (0, 1)]
    found, wanted = results([*tensors[:5], *given]), results([*tensors[:5], *both])
    del wanted[8 + (1 - bias[0])]
    torch.testing.assert_close(found, wanted)


@KERNELS
@pytest.mark.parametrize("wanted", [[True] * 7, [False] * 6 + [True], [False] * 7])
def test_what_a_compiler_is_told_is_what_the_kernels_return(kernel, wanted):
    """Shapes, strides, and that no tensor is returned twice or given back."""
    given, checks = (
        (*arguments(3), torch.tensor([[4, 3, 1]] * 3)),
        ("test_schema", "test_faketensor"),
    )
    operators = torch.ops.optlab
    for keep in (True, False):
        torch.library.opcheck(operators.lstm.default, (*given, False, keep), test_utils=checks)
    h, h_n, _, *kept = operators.lstm(*given, False, True)
    backward = (h, None, h_n, *given, h, *kept, False, True, [*wanted, False])
    torch.library.opcheck(operators.lstm_backward.default, backward, test_utils=checks)


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (2, 0, 3, 2), r"\(R, T, B, I\) with T > 0, got \(2, 0, 3, 2\)"),
        (2, (2, 1, 5), r"c0 must be of shape \(2, 3, 5\) here, got \(2, 1, 5\)"),
        (3, (2, 20, 3), r"weight_ih must be of shape \(2, 20, 2\) here, got \(2, 20, 3\)"),
        (4, (2, 5, 5), r"weight_hh must be of shape \(2, 20, 5\) here, got \(2, 5, 5\)"),
        (6, (1, 20), r"bias_hh must be of shape \(2, 20\) here, got \(1, 20\)"),
        (7, (2, 4), r"lengths must be of shape \(2, 3\) here, got \(2, 4\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(place, shape, message):
    tensors = [*arguments(2), None]
    tensors[place] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ConfigError, match=message):
        lstm_direction(*tensors, False, True)


def test_other_types_are_refused():
    tensors = arguments()
    with pytest.raises(ConfigError, match=r"x must be one of .* got torch.complex128"):
        lstm_direction(*(t.to(torch.complex128) for t in tensors), None, False, True)
    with pytest.raises(ConfigError, match=r"lengths must be integers, got torch.bool"):
        lstm_direction(*tensors, torch.ones(1, 3, dtype=torch.bool), False, True)
    tensors[4] = tensors[4].float()
    with pytest.raises(ConfigError, match=r"weight_hh must be torch.float64 .* got torch.float32"):
        lstm_direction(*tensors, None, False, True)


@KERNELS
@pytest.mark.parametrize("lengths", [None, torch.tensor([[2, 0, 3]])])
def test_gradcheck_twice(kernel, lengths):
    tensors = [t.requires_grad_() for t in arguments(steps=3, batch=3, inputs=2, hidden=2)]

    def direction(*given):
        return lstm_direction(*given, lengths, True, True)

    assert torch.autograd.gradcheck(direction, tensors)
    assert torch.autograd.gradgradcheck(direction, tensors)


@KERNELS
@pytest.mark.parametrize("which", range(7))
def test_each_gradient_alone_equals_itself_among_all(kernel, which):
    """What is not wanted is not computed, and must not be missed."""
    tensors = arguments(steps=3, batch=70, inputs=3, hidden=18)
    wanted = results(tensors)[3 + which]
    leaf = tensors[which].requires_grad_()
    found = lstm_direction(*tensors, None, False, True)
    total = sum((numbers(*o.shape, seed=30) * o).sum() for o in found)
    torch.testing.assert_close(torch.autograd.grad(total, leaf)[0], wanted)


@KERNELS
@pytest.mark.parametrize("which", range(3))
def test_gradient_through_one_result_only(kernel, which):
    tensors = [t.requires_grad_() for t in arguments()]
    reference = lstm_operation._reference(*tensors, None, False, True)[which]
    own = lstm_direction(*tensors, None, False, True)[which]
    into = numbers(*own.shape, seed=4)
    torch.testing.assert_close(
        torch.autograd.grad(own, tensors, into),
        torch.autograd.grad(reference, tensors, into, allow_unused=True, materialize_grads=True),
    )


@KERNELS
def test_without_gradients_results_are_the_same_bits(kernel):
    tensors = arguments(steps=6, batch=9, hidden=20, dtype=torch.float32)
    kept = lstm_direction(*tensors, None, False, True)
    for own, other in zip(lstm_direction(*tensors, None, False, False), kept, strict=True):
        assert torch.equal(own, other)


@KERNELS
def test_inputs_of_any_strides(kernel):
    tensors = arguments(steps=4, batch=6, inputs=5, hidden=7)
    wanted = results(tensors)
    tensors = [t.transpose(0, -1).contiguous().transpose(0, -1) for t in tensors]
    assert not tensors[0].is_contiguous()
    for own, other in zip(results(tensors), wanted, strict=True):
        torch.testing.assert_close(own, other)


def stack_of(runs, dtype):
    modules = [LSTM(3, 18).to(dtype) for _ in range(runs)]
    for k, module in enumerate(modules):
        for seed, parameter in enumerate(module.parameters()):
            parameter.data = 0.5 * numbers(*parameter.shape, seed=10 * k + seed, dtype=dtype)
    return modules, numbers(runs, 4, 7, 3, seed=99, dtype=dtype)


def gradients_of_stack(modules, x):
    parameters, _ = stack_module_state(modules)

    def loss(given, one):
        output, (_, c) = functional_call(modules[0], given, (one,))
        return output.sin().sum() + c.sum()

    return vmap(grad(loss))(parameters, x)


@KERNELS
def test_stack_equals_each_run_alone(kernel):
    modules, x = stack_of(3, torch.float64)
    stacked = gradients_of_stack(modules, x)
    for k, module in enumerate(modules):
        oracle = nn.LSTM(3, 18).double()
        oracle.load_state_dict(module.state_dict())
        output, (_, c) = oracle(x[k])
        (output.sin().sum() + c.sum()).backward()
        for name, parameter in oracle.named_parameters():
            assert relative(stacked[name][k], parameter.grad) < 1e-12


@pytest.mark.parametrize("kernel", ["c"], indirect=True)
def test_a_run_has_the_same_bits_in_every_stack(kernel):
    modules, x = stack_of(5, torch.float32)
    whole = gradients_of_stack(modules, x)
    alone = gradients_of_stack(modules[2:3], x[2:3])
    for name, gradient in alone.items():
        assert torch.equal(whole[name][2], gradient[0])


@pytest.mark.parametrize("kernel", ["c"], indirect=True)
@pytest.mark.parametrize("runs", [1, 3])
def test_threads_change_no_bit(kernel, runs):
    tensors = arguments(runs, steps=5, batch=64, inputs=9, hidden=100, dtype=torch.float32)
    threads = torch.get_num_threads()
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(results(tensors))
    torch.set_num_threads(threads)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("kernel", ["c"], indirect=True)
@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_functions_of_the_gates_are_exact_to_two_roundings(kernel, function):
    """c = f c(0) + i g is tanh(x) for f = 0, i = 1 and sigmoid(x) for c(0) = 1, i = 0."""
    sizes = torch.cat([torch.logspace(-30, 1.9, 40001), torch.linspace(0.1, 20, 40001)])
    x = torch.cat([sizes, -sizes]).view(1, 1, -1, 1)
    zeros = torch.zeros(1, x.shape[2], 1)
    if function == "tanh":
        weights, bias, c = [0.0, 0.0, 1.0, 0.0], [1000.0, -1000.0, 0.0, 0.0], zeros
    else:
        weights, bias, c = [0.0, 1.0, 0.0, 0.0], [-1000.0, 0.0, 0.0, 0.0], zeros + 1
    weight, first = torch.tensor(weights).view(1, 4, 1), torch.tensor(bias).view(1, 4)
    nothing = torch.zeros(1, 4, 1)
    _, _, own = lstm_direction(x, zeros, c, weight, nothing, first, 0 * first, None, False, True)
    exact = getattr(torch, function)(x.double()).flatten()
    error = (own.flatten() - exact).abs() / exact.abs()
    assert float(error.max()) < 2e-7


@KERNELS
def test_saturated_and_infinite_sums(kernel):
    tensors = arguments(steps=1, batch=4, inputs=1, hidden=3, bias=False, dtype=torch.float32)
    tensors[0] = torch.tensor([1e30, -1e30, float("inf"), float("nan")]).view(1, 1, 4, 1)
    tensors[3] = tensors[3].abs()
    h, _, c = lstm_direction(*tensors, None, False, True)
    assert torch.isnan(h[0, 0, 3]).all()
    assert torch.isfinite(h[0, 0, :3]).all()
    torch.testing.assert_close(c[0, 0], tensors[2][0, 0] + 1)
    assert not c[0, 1].any()


@KERNELS
def test_a_sequence_that_is_not_a_number_disturbs_no_other(kernel):
    tensors = arguments(batch=4, dtype=torch.float32)
    wanted, _, _ = lstm_direction(*tensors, None, False, True)
    tensors[0][0, 1, 2] = float("nan")
    found, _, _ = lstm_direction(*tensors, None, False, True)
    others = [0, 1, 3]
    assert torch.isnan(found[0, 1:, 2]).all()
    assert torch.equal(found[:, :, others], wanted[:, :, others])


def test_compiled_loop_is_one_node_whatever_its_length():
    nodes = []

    def count(graph, _):
        nodes.append(len(graph.graph.nodes))
        return graph.forward

    for steps in (3, 300):
        torch._dynamo.reset()
        module = LSTM(2, 4)
        compiled = torch.compile(module, backend=count, fullgraph=True, dynamic=False)
        x = numbers(steps, 3, 2, dtype=torch.float32)
        torch.testing.assert_close(compiled(x), module(x))
    assert len(nodes) == 2
    assert nodes[0] == nodes[1]


@pytest.mark.parametrize("lengths", [None, torch.tensor([2, 5, 0])])
def test_compiled_gradients_equal_eager_ones(lengths):
    torch._dynamo.reset()
    module = LSTM(2, 4, num_layers=2, bidirectional=True)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    x = numbers(5, 3, 2, dtype=torch.float32)
    found = []
    for call in (module, compiled):
        output, (h, c) = call(x, None, lengths)
        total = output.sin().sum() + h.cos().sum() + c.sum()
        found.append(torch.autograd.grad(total, list(module.parameters())))
    torch.testing.assert_close(*found)
