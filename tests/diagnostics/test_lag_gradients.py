"""How far back gradients reach, against closed forms of linear recursions."""

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.diagnostics import GradientMonitor, gradient_by_lag
from optlab.diagnostics.lag_gradients import LAGS, LagGradients
from optlab.nn.recurrent.rnn import RNN


class Decaying(nn.Module):
    """h(t) = a h(t-1) + x(t), answered with the last h: dL/dx(t) = a^(T - t) dL/dh."""

    def __init__(self, a=0.5):
        super().__init__()
        self.a = a

    def forward(self, x):
        h = torch.zeros_like(x[:, 0])
        for t in range(x.shape[1]):
            h = self.a * h + x[:, t]
        return h


def test_entry_k_is_the_norm_k_steps_before_the_last():
    found = gradient_by_lag(Decaying(), torch.zeros(3, 6, 2), lambda h: h.sum())
    expected = 6**0.5 * 0.5 ** torch.arange(6, dtype=torch.float64)
    # Powers of 2 are exact; the root is not.
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0.0)


def test_time_may_stand_in_front():
    class TimeFirst(Decaying):
        def forward(self, x):
            return super().forward(x.transpose(0, 1))

    found = gradient_by_lag(TimeFirst(), torch.zeros(6, 3, 2), lambda h: h.sum(), time_axis=0)
    assert found.tolist() == pytest.approx([6**0.5 * 0.5**k for k in range(6)])


def test_tiny_gradients_are_not_lost():
    found = gradient_by_lag(Decaying(1e-5), torch.zeros(1, 8, 1), lambda h: h.sum())
    # 1e-35: its square is no float32, it is one itself.
    assert found.tolist() == pytest.approx([1e-5**k for k in range(8)], rel=1e-5)


def test_the_layer_is_left_as_it_was():
    layer = nn.GRU(2, 3, 2, batch_first=True, dropout=0.5)
    state = torch.get_rng_state()
    gradient_by_lag(layer, torch.ones(1, 4, 2), lambda output: output[0][:, -1].sum())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in layer.parameters())


def test_tokens_are_refused():
    with pytest.raises(ConfigError, match="no gradient with respect to tokens"):
        gradient_by_lag(nn.Embedding(3, 2), torch.zeros(1, 4, dtype=torch.int64), torch.sum)


@pytest.mark.parametrize("make", [RNN, nn.RNN], ids=["own", "torch"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_monitor_finds_the_first_recurrent_layer(make, batch_first):
    layer = make(2, 3, batch_first=batch_first)
    time_axis = 1 if batch_first else 0
    x = torch.randn(30, 30, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def loss(output):
        return output[0].select(time_axis, -1).sum()

    with GradientMonitor(layer, (LagGradients(),)) as monitor:
        loss(layer(x)).backward()
    expected = gradient_by_lag(layer, x, loss, time_axis)
    found = {tag: value.item() for tag, value in monitor.values().items()}
    lags = [lag for lag in LAGS if lag < 30]
    assert found == {f"lag_gradient/{k}": pytest.approx(expected[k].item()) for k in lags}


def test_embedded_tokens_have_lags():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(3, 2), nn.GRU(2, 4, batch_first=True))
    with GradientMonitor(module, (LagGradients(),)) as monitor:
        module(torch.tensor([[0, 1, 2, 0]]))[0][:, -1].sum().backward()
    assert list(monitor.values()) == ["lag_gradient/0", "lag_gradient/1", "lag_gradient/2"]


def test_an_input_without_gradient_has_none_unless_insisted_on():
    layer, x = RNN(2, 3), torch.ones(4, 1, 2)
    with GradientMonitor(layer, (LagGradients(),)) as monitor:
        layer(x)[0][-1].sum().backward()
    assert monitor.values() == {}
    lags = LagGradients(insist=True)
    with GradientMonitor(layer, (lags,)) as monitor:
        torch.autograd.grad(layer(x)[0][-1].sum(), lags.leaves)
    assert lags.leaves[0] is x
    assert list(monitor.values()) == ["lag_gradient/0", "lag_gradient/1", "lag_gradient/2"]


def test_two_passes_back_add_up_as_norms():
    module, x = RNN(2, 3), torch.randn(6, 4, 2, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()

    def after(passes):
        with GradientMonitor(module, (LagGradients(),)) as monitor:
            output = module(x)[0].square().sum()
            for _ in range(passes):
                output.backward(retain_graph=True)
        return monitor.values()["lag_gradient/0"].item()

    assert after(2) == pytest.approx(2**0.5 * after(1), rel=1e-6)
