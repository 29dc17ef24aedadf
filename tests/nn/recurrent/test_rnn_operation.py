"""The two kernels of the recurrent loop against each other, and what a stack of runs may change."""

import ctypes

import pytest
import torch

from optlab.config import ConfigError
from optlab.nn.native import library
from optlab.nn.recurrent import rnn_native, rnn_operation
from optlab.nn.recurrent.rnn_operation import recur

NATIVE = isinstance(library("rnn"), ctypes.CDLL)
needs_compiler = pytest.mark.skipif(not NATIVE, reason=f"no kernel: {library('rnn')}")


def arguments(runs=2, steps=5, batch=4, inputs=3, units=7, dtype=torch.float64, bias=True):
    stream = torch.Generator().manual_seed(0)

    def numbers(*shape):
        return torch.randn(runs, *shape, generator=stream).to(dtype).requires_grad_()

    biases = (numbers(units), numbers(units)) if bias else (None, None)
    weights = (numbers(units, inputs), numbers(units, units))
    return [numbers(steps, batch, inputs), numbers(batch, units), *weights, *biases]


def answers(tensors, lengths, nonlinearity, reverse, use=(1.0, 1.0)):
    """Return both results and all gradients of their squares' sums, weighted by ``use``."""
    tensors = [None if t is None else t.detach().requires_grad_() for t in tensors]
    states, last = recur(*tensors, lengths, nonlinearity, reverse)
    results = (states, last)
    sum(w * r.square().sum() for w, r in zip(use, results, strict=True) if w).backward()
    return [states.detach(), last.detach(), *(t.grad for t in tensors if t is not None)]


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "identity"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_c_equals_pytorch_operations(monkeypatch, dtype, nonlinearity, reverse, ends):
    lengths = torch.tensor([[5, 0, 3, 1], [2, 5, 4, 0]]) if ends else None
    tensors = [t * 0.5 for t in arguments(dtype=dtype)]
    for use in ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0)):
        native = answers(tensors, lengths, nonlinearity, reverse, use)
        with monkeypatch.context() as patch:
            patch.setattr(rnn_native, "serves", lambda *_: False)
            eager = answers(tensors, lengths, nonlinearity, reverse, use)
        # Sums of about ten terms in another order, and a tanh off by two units, over five steps.
        close = 200 * torch.finfo(dtype).eps
        torch.testing.assert_close(native, eager, rtol=close, atol=close)


@pytest.mark.parametrize("bias", [(0,), (1,), ()])
def test_one_bias_or_none(bias):
    tensors = arguments()
    both = [tensors[4 + i] if i in bias else torch.zeros_like(tensors[4]) for i in (0, 1)]
    given = [tensors[4 + i] if i in bias else None for i in (0, 1)]
    some = recur(*tensors[:4], *given, None, "tanh", False)
    torch.testing.assert_close(some, recur(*tensors[:4], *both, None, "tanh", False))


@needs_compiler
@pytest.mark.parametrize("units", [3, 5, 16, 33])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_of_a_run_do_not_depend_on_how_many_there_are(dtype, units):
    """Bitwise, wherever in memory a run begins."""
    lengths = torch.tensor([[5, 4, 3, 1, 5]] * 3)
    tensors = arguments(3, batch=5, inputs=3, units=units, dtype=dtype)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        together = answers(tensors, lengths, "tanh", False)
        for run in range(3):
            alone = [t[run : run + 1] for t in tensors]
            for one, all_ in zip(answers(alone, lengths[:1], "tanh", False), together, strict=True):
                assert torch.equal(one[0], all_[run])
    finally:
        torch.set_num_threads(threads)


@needs_compiler
@pytest.mark.parametrize(("dtype", "units"), [(torch.float32, 5), (torch.float64, 16)])
def test_where_in_memory_a_run_begins_changes_no_bit(dtype, units):
    tensors = [t.detach() for t in arguments(1, steps=7, batch=64, units=units, dtype=dtype)]
    moved = [t.new_empty(t.numel() + 1)[1:].view(t.shape).copy_(t) for t in tensors]
    wanted = answers(tensors, None, "tanh", False)
    for one, other in zip(answers(moved, None, "tanh", False), wanted, strict=True):
        assert torch.equal(one, other)


@needs_compiler
def test_sums_over_many_steps_are_as_exact_as_over_few():
    tensors = arguments(1, steps=20000, batch=3, inputs=2, units=5)
    tensors = [tensors[0] + 1, *(t * 0.3 for t in tensors[1:])]
    single = answers([t.float() for t in tensors], None, "tanh", False)
    for own, other in zip(single[4:], answers(tensors, None, "tanh", False)[4:], strict=True):
        # One running sum over 60,000 rows would be off by 4e-6.
        assert float((own - other).abs().max() / other.abs().max()) < 1e-6


@pytest.mark.parametrize("native", [pytest.param(True, marks=needs_compiler), False])
def test_autocasting_lowers_no_precision(monkeypatch, native):
    if not native:
        monkeypatch.setattr(rnn_native, "serves", lambda *_: False)
    tensors = arguments(dtype=torch.float32)
    wanted = answers(tensors, None, "tanh", False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = answers(tensors, None, "tanh", False)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_is_exact_near_zero_and_far_away(dtype):
    """Within two units of the last place; NaN and infinity as in torch."""
    small = 10 ** torch.linspace(-30, 1.5, 2001, dtype=torch.float64)
    z = torch.cat([small, -small, torch.tensor([0.0, torch.inf, -torch.inf, torch.nan])]).to(dtype)
    none = torch.zeros(1, 1, z.numel(), 0, dtype=dtype)
    zero = torch.zeros(1, z.numel(), 1, dtype=dtype)
    nothing = torch.zeros(1, 1, 0, dtype=dtype)
    one = torch.ones(1, 1, 1, dtype=dtype)
    states, _ = recur(none, zero + z[None, :, None], nothing, one, None, None, None, "tanh", False)
    exact = z.double().tanh()
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(
        states[0, 0, :, 0].double(), exact, rtol=2 * eps, atol=0, equal_nan=True
    )


@pytest.mark.parametrize("native", [pytest.param(True, marks=needs_compiler), False])
def test_not_a_number_in_one_sequence_stays_there(monkeypatch, native):
    if not native:
        monkeypatch.setattr(rnn_native, "serves", lambda *_: False)
    x, *rest = (t.detach() for t in arguments(1))
    x[0, 2, 1] = torch.nan
    for nonlinearity in ("tanh", "relu", "identity"):
        states, _ = recur(x, *rest, None, nonlinearity, False)
        assert torch.isnan(states[0, 2:, 1]).all()
        assert torch.isfinite(states[0, :, [0, 2, 3]]).all()


@pytest.mark.parametrize("native", [pytest.param(True, marks=needs_compiler), False])
@pytest.mark.parametrize("wanted", [True, False])
def test_what_a_compiler_is_told_is_what_the_kernels_return(monkeypatch, native, wanted):
    """Shapes, strides, and that no tensor is returned twice or given back."""
    if not native:
        monkeypatch.setattr(rnn_native, "serves", lambda *_: False)
    tensors = [t.detach() for t in arguments(3, units=5)]
    lengths = torch.tensor([[5, 4, 3, 1]] * 3)
    given = (*tensors, lengths)
    checks = ("test_schema", "test_faketensor")
    operators = torch.ops.optlab
    torch.library.opcheck(operators.rnn.default, (*given, "tanh", False), test_utils=checks)
    results = operators.rnn(*given, "tanh", False)
    needed = [wanted] * 6 + [False]
    backward = (results[0], None, *given, results[0], "tanh", False, needed)
    torch.library.opcheck(operators.rnn_backward.default, backward, test_utils=checks)


def test_without_a_compiler_the_layer_works(monkeypatch):
    monkeypatch.setattr(rnn_native, "library", lambda _: RuntimeError("none"))
    assert not rnn_native.serves(torch.zeros(1))
    tensors = arguments()
    torch.testing.assert_close(
        recur(*tensors, None, "tanh", False),
        rnn_operation._reference(*tensors, None, "tanh", False),
    )


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_lengths_of_any_integer_type(dtype):
    lengths = torch.tensor([[5, 0, 3, 1], [2, 5, 4, 0]])
    tensors = arguments()
    wanted = recur(*tensors, lengths, "tanh", False)
    torch.testing.assert_close(recur(*tensors, lengths.to(dtype), "tanh", False), wanted)


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (2, 5, 4, 4), r"weight_ih must be of shape \(2, 7, 4\) here, got \(2, 7, 3\)"),
        (0, (2, 0, 4, 3), r"\(R, T, B, I\) with T > 0, got \(2, 0, 4, 3\)"),
        (1, (2, 3, 7), r"initial must be of shape \(2, 4, 7\) here, got \(2, 3, 7\)"),
        (3, (1, 7, 7), r"weight_hh must be of shape \(2, 7, 7\) here, got \(1, 7, 7\)"),
        (5, (2, 6), r"bias_hh must be of shape \(2, 7\) here, got \(2, 6\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(place, shape, message):
    tensors = arguments()
    tensors[place] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ConfigError, match=message):
        recur(*tensors, None, "tanh", False)


def test_dtypes_that_c_does_not_have_are_served_by_pytorch():
    assert not rnn_native.serves(torch.zeros(1, dtype=torch.bfloat16))
    assert not rnn_native.serves(torch.zeros(1), torch.zeros(1, dtype=torch.float64))
