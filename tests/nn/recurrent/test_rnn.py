"""The recurrent layer against torch's and against finite differences (RNN-01, RNN-11, RNN-14)."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.utils.rnn import pack_padded_sequence

from optlab.config import ConfigError
from optlab.init import he_normal_, initialize
from optlab.nn.recurrent.rnn import RNN, RNNCell

NONLINEARITIES = ["tanh", "relu", "identity"]
#: Against torch in float64: sums of some hundred terms in another order.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def with_random_biases(module, seed=1):
    for name, parameter in module.named_parameters():
        if "bias" in name:
            parameter.data = numbers(*parameter.shape, seed=seed, dtype=parameter.dtype)
    return module


def a_layer(*sizes, seed=0, **options):
    layer = RNN(*sizes, dtype=torch.float64, **options)
    initialize(layer, he_normal_, seed)
    return with_random_biases(layer)


def pair(*sizes, **options):
    """Return our layer and torch's with the same weights, in float64."""
    ours, theirs = a_layer(*sizes, **options), nn.RNN(*sizes, dtype=torch.float64, **options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def answers(module, *inputs):
    """Return outputs, last states, and the gradients of inputs and parameters."""
    inputs = [value.clone().requires_grad_() for value in inputs]
    module.zero_grad()
    outputs, last = module(*inputs)
    (outputs.sin().sum() + (last * last.cos()).sum()).backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    return [outputs, last, gradients, *(value.grad for value in inputs)]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("layers", "nonlinearity"), [(1, "tanh"), (2, "relu")])
def test_equals_torch(layers, nonlinearity, bias, bidirectional, batch_first):
    options = {"nonlinearity": nonlinearity, "bias": bias, "bidirectional": bidirectional}
    ours, theirs = pair(3, 5, layers, batch_first=batch_first, **options)
    x = numbers(4, 6, 3, seed=2)
    h0 = numbers(layers * (1 + bidirectional), 4 if batch_first else 6, 5, seed=3)
    for inputs in ((x,), (x, h0)):
        torch.testing.assert_close(answers(ours, *inputs), answers(theirs, *inputs), **CLOSE)


def test_without_nonlinearity_equals_powers_of_the_recurrent_matrix():
    """RNN-08: h(T) = W_hh^T h(0) without inputs."""
    layer = RNN(1, 4, nonlinearity="identity", bias=False, dtype=torch.float64)
    h0 = numbers(1, 3, 4)
    _, last = layer(torch.zeros(7, 3, 1, dtype=torch.float64), h0)
    power = torch.linalg.matrix_power(layer.weight_hh_l0, 7)
    torch.testing.assert_close(last[0], h0[0] @ power.T, **CLOSE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_agree_with_torch(dtype):
    ours, theirs = pair(3, 5)
    x = numbers(4, 6, 3, seed=2, dtype=dtype)
    # Four steps of sums of eight products, each rounded.
    close = {"rtol": 0, "atol": 16 * torch.finfo(dtype).eps}
    torch.testing.assert_close(ours.to(dtype)(x), theirs.to(dtype)(x), **close)


def test_a_sequence_without_a_batch_equals_torch():
    ours, theirs = pair(3, 5, 2, bidirectional=True)
    inputs = numbers(4, 3), numbers(4, 5)
    torch.testing.assert_close(answers(ours, *inputs), answers(theirs, *inputs), **CLOSE)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_equal_torch(bidirectional):
    ours, theirs = pair(3, 5, 2, bidirectional=bidirectional)
    x = numbers(6, 4, 3)
    found = []
    for layer in (ours, theirs):
        own = x.clone().requires_grad_()
        packed = pack_padded_sequence(own, torch.tensor([2, 6, 1, 4]), enforce_sorted=False)
        outputs, last = layer(packed)
        (outputs.data.sin().sum() + last.sin().sum()).backward()
        found.append([outputs.data, last, own.grad, layer.weight_hh_l0.grad])
    torch.testing.assert_close(*found, **CLOSE)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_of_a_padded_batch_equal_each_sequence_alone(bidirectional):
    layer = a_layer(3, 5, bidirectional=bidirectional)
    x, lengths = numbers(6, 4, 3), [2, 6, 1, 4]
    outputs, last = layer(x, None, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, final = layer(x[:length, row])
        torch.testing.assert_close(outputs[:length, row], alone, **CLOSE)
        torch.testing.assert_close(last[:, row], final, **CLOSE)
        assert not outputs[length:, row].any()


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 1])], ids=["whole", "lengths"])
def test_gradcheck_twice(nonlinearity, lengths):
    layer = a_layer(2, 3, 1, nonlinearity=nonlinearity, bidirectional=True)
    weights = dict(layer.named_parameters())

    def results(x, h0, *values):
        named = dict(zip(weights, values, strict=True))
        return functional_call(layer, named, (x, h0, lengths))

    inputs = (numbers(3, 2, 2).requires_grad_(), numbers(2, 2, 3, seed=5).requires_grad_())
    assert torch.autograd.gradcheck(results, (*inputs, *weights.values()))
    assert torch.autograd.gradgradcheck(results, (*inputs, *weights.values()))


def test_stack_equals_each_run():
    runs = [a_layer(3, 5, 2, seed=seed) for seed in range(3)]
    parameters, buffers = stack_module_state(runs)
    x = numbers(3, 4, 6, 3)

    def total(p, b, batch):
        return functional_call(runs[0], (p, b), (batch,))[0].sin().sum()

    stacked = vmap(grad(total))(parameters, buffers, x)
    for number, run in enumerate(runs):
        run.zero_grad()
        run(x[number])[0].sin().sum().backward()
        for name, parameter in run.named_parameters():
            torch.testing.assert_close(stacked[name][number], parameter.grad, **CLOSE)


def test_compiled_graph_is_one_node_however_many_steps():
    layer = a_layer(2, 3)
    counts = []

    def count(graph, _):
        counts.append(len(graph.graph.nodes))
        return graph.forward

    for steps in (3, 30):
        torch._dynamo.reset()
        x = numbers(steps, 2, 2)
        compiled = torch.compile(layer, backend=count, fullgraph=True)
        torch.testing.assert_close(compiled(x), layer(x))
    assert counts[0] == counts[1]


def test_gradient_is_the_sum_over_copies_of_the_weights_at_each_step():
    """RNN-11: against a loop in which every step has a copy of its own."""
    layer = a_layer(3, 5)
    x, steps = numbers(4, 6, 3), 4
    copies = [layer.weight_hh_l0.detach().clone().requires_grad_() for _ in range(steps)]
    state = torch.zeros(6, 5, dtype=torch.float64)
    for t, weight in enumerate(copies):
        shared = x[t] @ layer.weight_ih_l0.T + layer.bias_ih_l0 + layer.bias_hh_l0
        state = torch.tanh(shared.detach() + state @ weight.T)
    state.sin().sum().backward()
    layer(x)[1].sin().sum().backward()
    total = sum(weight.grad for weight in copies)
    torch.testing.assert_close(layer.weight_hh_l0.grad, total, **CLOSE)


@pytest.mark.parametrize("gain", [0.5, 1.5])
def test_gradient_of_a_linear_network_grows_by_the_gain_at_every_step(gain):
    """GRD-07: exactly gain^T for an orthogonal matrix."""
    options = {"nonlinearity": "identity", "recurrent_gain": gain, "bias": False}
    layer = RNN(1, 8, dtype=torch.float64, **options)
    h0 = numbers(1, 1, 8).requires_grad_()
    _, last = layer(torch.zeros(50, 1, 1, dtype=torch.float64), h0)
    (found,) = torch.autograd.grad(last.sum(), h0)
    # The weights were drawn in float32, orthogonal to 1e-7, and are multiplied 50 times.
    assert float(found.norm()) == pytest.approx(gain**50 * 8**0.5, rel=1e-4)


@pytest.mark.parametrize("rule", ["orthogonal", "identity", "same"])
def test_recurrent_weights_start_by_their_rule(rule):
    layer = RNN(3, 4, recurrent_init=rule)
    initialize(layer, he_normal_, 0)
    weight = layer.weight_hh_l0.detach()
    product = weight @ weight.T
    assert torch.allclose(weight, torch.eye(4)) == (rule == "identity")
    assert torch.allclose(product, torch.eye(4), atol=1e-5) == (rule != "same")
    assert not layer.bias_hh_l0.any()


def test_no_gradient_where_none_is_wanted():
    layer = a_layer(3, 5)
    layer.weight_ih_l0.requires_grad_(False)
    x = numbers(4, 6, 3)
    layer(x)[0].sum().backward()
    assert layer.weight_ih_l0.grad is None
    assert layer.weight_hh_l0.grad is not None


@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches_equal_torch(batch):
    ours, theirs = pair(3, 5)
    x = numbers(4, batch, 3)
    torch.testing.assert_close(answers(ours, x), answers(theirs, x), **CLOSE)


def test_inputs_of_any_strides_equal_torch():
    ours, theirs = pair(3, 5)
    x, h0 = numbers(3, 6, 4).permute(2, 1, 0), numbers(1, 1, 5).expand(1, 6, 5)
    torch.testing.assert_close(ours(x, h0), theirs(x, h0), **CLOSE)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_cell_equals_torch(nonlinearity, bias):
    ours = with_random_biases(RNNCell(3, 5, bias, nonlinearity, dtype=torch.float64))
    theirs = nn.RNNCell(3, 5, bias, nonlinearity, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    for shape in ((6, 3), (3,)):
        x, state = numbers(*shape), numbers(*shape[:-1], 5, seed=4)
        torch.testing.assert_close(ours(x), theirs(x), **CLOSE)
        found = []
        for cell in (ours, theirs):
            own = [x.clone().requires_grad_(), state.clone().requires_grad_()]
            cell.zero_grad()
            cell(*own).sin().sum().backward()
            found.append([*(value.grad for value in own), *(p.grad for p in cell.parameters())])
        torch.testing.assert_close(*found, **CLOSE)


def test_cells_in_a_row_are_a_layer():
    layer = a_layer(3, 5)
    cell = RNNCell(3, 5, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): v for name, v in layer.state_dict().items()})
    x, state = numbers(4, 6, 3), None
    for step in x:
        state = cell(step, state)
    torch.testing.assert_close(state, layer(x)[1][0], **CLOSE)


def test_cell_starts_by_its_rules():
    cell = RNNCell(3, 4, recurrent_init="identity", recurrent_gain=0.5)
    initialize(cell, he_normal_, 0)
    torch.testing.assert_close(cell.weight_hh.detach(), 0.5 * torch.eye(4))
    assert cell.weight_ih.detach().any()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((6, 4),), r"input must be \(6, 3\) of torch.float32, .* got \(6, 4\)"),
        (((2, 6, 3),), r"input must be \(B, 3\) or \(3,\) .* got \(2, 6, 3\)"),
        (((6, 3), (5, 5)), r"hx must be \(6, 5\) .* got \(5, 5\)"),
    ],
)
def test_cell_refuses_what_does_not_fit(shapes, message):
    with pytest.raises(ConfigError, match=message):
        RNNCell(3, 5)(*(torch.zeros(shape) for shape in shapes))


def test_cell_refuses_a_tuple_of_states():
    with pytest.raises(ConfigError, match="hx must be one tensor, got tuple of 1"):
        RNNCell(3, 5)(torch.zeros(6, 3), (torch.zeros(6, 5),))


def test_cell_refuses_another_dtype():
    with pytest.raises(ConfigError, match=r"got \(6, 3\) of torch.float64"):
        RNNCell(3, 5)(torch.zeros(6, 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nonlinearity": "sigmoid"}, "one of tanh, relu, identity, got 'sigmoid'"),
        ({"recurrent_init": "zeros"}, "one of orthogonal, identity, same, got 'zeros'"),
        ({"recurrent_init": "same", "recurrent_gain": 2.0}, "gain=2 would do nothing"),
        ({"recurrent_gain": float("nan")}, "recurrent_gain must be a number"),
    ],
)
@pytest.mark.parametrize("kind", [RNN, RNNCell])
def test_options_that_make_no_sense_are_refused(kind, options, message):
    with pytest.raises(ConfigError, match=message):
        kind(3, 5, **options)


def test_repr_shows_the_nonlinearity():
    assert "nonlinearity=relu" in repr(RNN(3, 5, nonlinearity="relu"))
    assert "nonlinearity=relu" in repr(RNNCell(3, 5, nonlinearity="relu"))
