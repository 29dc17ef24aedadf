"""Hand-written layers on a CUDA device: the CPU's numbers, no waiting, one graph both ways."""

import copy

import pytest
import torch

from optlab import nn

pytestmark = [
    pytest.mark.gpu,
    # Said once per process by torch itself, when backward's thread meets cuBLAS first.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]
CUDA = "cuda"

CASES = {
    "LSTM": (lambda: nn.LSTM(3, 5, num_layers=2, bidirectional=True), (7, 4, 3)),
    "RNN tanh": (lambda: nn.RNN(3, 5), (7, 4, 3)),
    "RNN relu": (lambda: nn.RNN(3, 5, nonlinearity="relu"), (7, 4, 3)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), (8, 6)),
    "BatchNorm1d sigma": (lambda: nn.BatchNorm1d(6, eps_mode="sigma"), (8, 6, 3)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(6), (4, 6, 3, 5)),
    "LayerNorm": (lambda: nn.LayerNorm(6), (4, 3, 6)),
    "Dropout": (lambda: nn.Dropout(0.5), (8, 60)),
    "Conv2d": (lambda: nn.Conv2d(3, 5, 3, padding=1), (4, 3, 8, 8)),
    "Conv2d stride 2": (lambda: nn.Conv2d(3, 5, 3, stride=2, padding=1), (4, 3, 8, 8)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (4, 3, 8, 8)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (4, 3, 8, 8)),
    "MultiHeadAttention": (lambda: nn.MultiHeadAttention(6, 2, causal=True), (4, 7, 6)),
}
every_layer = pytest.mark.parametrize("name", CASES)


def layer(name, dtype=torch.float64):
    """Return a layer and an input of it, on the CPU."""
    make, shape = CASES[name]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return make().to(dtype=dtype), x.to(dtype)


def both_passes(module, x):
    """Return the output and the gradients of the sum of its squares."""
    x = x.detach().clone().requires_grad_()
    output = module(x)
    output = output[0] if isinstance(output, tuple) else output
    gradients = torch.autograd.grad(output.square().sum(), [x, *module.parameters()])
    return [output.detach(), *gradients]


@every_layer
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])
def test_equals_the_cpu(name, dtype, tolerance):
    torch.backends.cuda.matmul.allow_tf32 = False
    module, x = layer(name, dtype)
    there = both_passes(copy.deepcopy(module).to(CUDA), x.to(CUDA))
    # The same sums in another order.
    for mine, theirs in zip(both_passes(module, x), there, strict=True):
        torch.testing.assert_close(theirs.cpu(), mine, rtol=tolerance, atol=tolerance)


@every_layer
def test_a_captured_graph_of_both_passes_replays_on_another_input(name):
    module, x = layer(name, torch.float32)
    module, x = module.to(CUDA), x.to(CUDA)
    place = x.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            both_passes(module, place)
    torch.cuda.current_stream().wait_stream(stream)
    state = copy.deepcopy(module.state_dict())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = both_passes(module, place)
    place.copy_(2 * x)
    module.load_state_dict(state)
    graph.replay()
    found = [value.clone() for value in captured]
    module.load_state_dict(state)
    for replayed, eager in zip(found, both_passes(module, 2 * x), strict=True):
        torch.testing.assert_close(replayed, eager)


@every_layer
def test_nothing_waits_for_the_device(name):
    module, x = layer(name, torch.float32)
    module, x = module.to(CUDA), x.to(CUDA)
    both_passes(module, x)
    torch.cuda.set_sync_debug_mode("error")
    try:
        both_passes(module, x)
    finally:
        torch.cuda.set_sync_debug_mode("default")
