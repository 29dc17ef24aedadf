"""The monitor: what it sees of any module, and that it leaves no trace."""

import copy

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.diagnostics import GradientMonitor
from optlab.diagnostics.preactivation_gradients import PreactivationGradients
from optlab.diagnostics.saturation import Saturation
from optlab.diagnostics.weight_gradients import GradientRatio, WeightGradients
from optlab.models.mlp import MLP
from optlab.models.recurrent import RecurrentModel
from optlab.nn import LSTM, BatchNorm1d, Sigmoid, Tanh
from optlab.nn.recurrent.rnn import RNN

ROWS = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def cost(output):
    return output.square().mean()


def watched(module, quantity, x=ROWS):
    with GradientMonitor(module, (quantity,)) as monitor:
        cost(module(x)).backward()
    return {tag: value.item() for tag, value in monitor.values().items()}


def foreign_network():
    """Return a convolutional network of torch's own layers that writes in place."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(48, 2)
    )


IMAGES = torch.randn(5, 1, 6, 6, generator=torch.Generator().manual_seed(1))
NETWORKS = {
    "own": (lambda: MLP(4, [5, 6], 3, Sigmoid, BatchNorm1d, dropout=0.5), ROWS),
    "foreign": (foreign_network, IMAGES),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_gradients_and_buffers_are_bitwise_those_without_a_monitor(network):
    make, x = NETWORKS[network]
    alone = make()
    seen = copy.deepcopy(alone)
    expected = alone(x)
    cost(expected).backward()
    with GradientMonitor(seen):
        output = seen(x)
        cost(output).backward()
    assert torch.equal(output, expected)
    for p, q in zip(alone.parameters(), seen.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)
    for p, q in zip(alone.buffers(), seen.buffers(), strict=True):
        assert torch.equal(p, q)


def test_before_it_has_watched_it_knows_nothing():
    assert GradientMonitor(nn.Linear(2, 2)).values() == {}


def test_nothing_stays_attached_also_after_an_error():
    module = MLP(4, [5], 3)
    own = module.output.forward
    module.output.forward = own  # somebody else's function in the same place
    with pytest.raises(ConfigError, match="shape"), GradientMonitor(module):
        module(torch.zeros(2, 9))
    assert module.output.__dict__.pop("forward") is own
    assert not any({"forward", "run"} & vars(part).keys() for part in module.modules())
    assert not any(p._backward_hooks for p in module.parameters())


@pytest.mark.parametrize(
    ("norm", "position"), [(None, "pre"), (BatchNorm1d, "pre"), (BatchNorm1d, "post")]
)
def test_preactivation_gradients_are_those_of_the_linear_outputs(norm, position):
    module = MLP(4, [5, 6], 3, Tanh, norm, position)
    outputs, x = {}, ROWS
    for i, layer in enumerate(module.hidden):
        x = outputs[f"hidden.{i}.linear"] = layer.linear(x)
        for part in list(layer)[1:]:
            x = part(x)
    outputs["output"] = module.output(x)
    gradients = torch.autograd.grad(cost(outputs["output"]), list(outputs.values()))
    expected = {
        f"preactivation_gradient/{name}": gradient.norm().item()
        for name, gradient in zip(outputs, gradients, strict=True)
    }
    found = watched(module, PreactivationGradients())
    assert list(found) == list(expected)
    # float32 sums of at most 48 squares.
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_layer_called_twice_counts_as_one_with_all_rows():
    layer = nn.Linear(4, 4)
    module = nn.Sequential(layer, nn.Tanh(), layer)
    first = layer(ROWS)
    second = layer(first.tanh())
    gradients = torch.autograd.grad(cost(second), (first, second))
    expected = torch.cat(gradients).norm().item()
    found = watched(module, PreactivationGradients())
    assert found == {"preactivation_gradient/0": pytest.approx(expected, rel=1e-6)}


def test_a_module_that_calls_itself_is_one_call():
    norm = BatchNorm1d(4)
    seen = []

    class Calls(Saturation):
        def before(self, call):
            seen.append(call.name)

    with GradientMonitor(norm, (Calls(),)):
        norm(torch.randn(3, 4, 5))  # laid into rows by a call of its own forward
    assert seen == ["BatchNorm1d"]


def test_weight_gradients_are_of_the_pass_and_not_of_what_grad_held():
    module = MLP(4, [5], 3, Tanh)
    cost(module(ROWS)).backward()
    expected = {f"gradient_norm/{n}": p.grad.norm().item() for n, p in module.named_parameters()}
    assert watched(module, WeightGradients()) == pytest.approx(expected, rel=1e-6)


def test_gradients_asked_for_without_backward_are_seen_and_grad_stays_empty():
    module = MLP(4, [5], 3, Tanh)
    with GradientMonitor(module, (WeightGradients(),)) as monitor:
        gradients = torch.autograd.grad(cost(module(ROWS)), list(module.parameters()))
    expected = [gradient.norm().item() for gradient in gradients]
    assert [value.item() for value in monitor.values().values()] == pytest.approx(expected)
    assert all(p.grad is None for p in module.parameters())


def test_two_passes_back_add_up_before_the_norm():
    module = nn.Linear(4, 1, bias=False)
    with GradientMonitor(module, (WeightGradients(),)) as monitor:
        module(ROWS).sum().backward()
        module(-ROWS).sum().backward()
    # The two gradients are exactly opposite.
    assert monitor.values()["gradient_norm/weight"].item() == 0.0


def test_the_ratio_is_of_the_layers_in_the_order_of_their_calls():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(5, 2), nn.Linear(4, 5)

        def forward(self, x):
            return self.last(self.first(x).tanh())

    module = Backwards()
    found = watched(module, GradientRatio())
    expected = (module.first.weight.grad.norm() / module.last.weight.grad.norm()).item()
    assert found == {"gradient_ratio/first_last": pytest.approx(expected, rel=1e-6)}


def test_a_recurrent_layer_counts_with_all_its_weights():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(3, 4), nn.GRU(4, 5, batch_first=True))
    with GradientMonitor(module, (GradientRatio(),)) as monitor:
        cost(module(torch.tensor([[0, 1, 2]]))[0]).backward()
    recurrent = [module[1].weight_ih_l0.grad, module[1].weight_hh_l0.grad]
    expected = module[0].weight.grad.norm() / torch.cat([g.reshape(-1) for g in recurrent]).norm()
    found = monitor.values()["gradient_ratio/first_last"]
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_layer_whose_weight_is_computed_is_a_layer():
    torch.manual_seed(0)
    norm = nn.utils.parametrizations.spectral_norm
    module = nn.Sequential(norm(nn.Linear(4, 3, bias=False)), nn.Tanh(), nn.Linear(3, 2))
    found = watched(module, PreactivationGradients()) | watched(module, GradientRatio())
    assert list(found) == [
        *("preactivation_gradient/0", "preactivation_gradient/2", "gradient_ratio/first_last")
    ]


@pytest.mark.parametrize("used", ["output", "h", "c"])
def test_results_that_the_loss_leaves_out_have_no_gradient(used):
    """An LSTM gives outputs, h and c; whoever uses one of them differentiates one."""
    module = LSTM(4, 5)
    with GradientMonitor(module, (PreactivationGradients(),)) as monitor:
        output, (h, c) = module(ROWS[:, None])
        result = {"output": output, "h": h, "c": c}[used]
        (3 * result).sum().backward()
    (found,) = monitor.values().values()
    assert found.item() == pytest.approx(3 * result.numel() ** 0.5, rel=1e-6)


def test_learned_initial_states_are_no_layer():
    model = RecurrentModel(RNN(4, 5, batch_first=True), 1, learn_initial=True)
    found = watched(model, PreactivationGradients(), ROWS[:, None])
    assert list(found) == ["preactivation_gradient/recurrent", "preactivation_gradient/output"]


def test_a_single_layer_has_no_ratio():
    assert watched(nn.Linear(4, 2), GradientRatio()) == {}


def test_a_foreign_network_is_measured_by_its_own_names():
    module = foreign_network()
    with GradientMonitor(module) as monitor:
        cost(module(IMAGES)).backward()
    tags = {t for t in monitor.values() if not t.startswith("gradient_norm/")}
    assert tags == {
        *("preactivation_gradient/0", "preactivation_gradient/4", "gradient_ratio/first_last"),
        *("saturated/2", "dead/2", "symmetric/0", "symmetric/4", "batchnorm_drift/1"),
        "nonfinite",
    }
    z = module[1](module[0](IMAGES))
    assert monitor.values()["saturated/2"].item() == pytest.approx((z <= 0).double().mean().item())


def test_tiny_gradients_do_not_round_to_nothing():
    """Squares of 1e-30 are below float32; the norm is not."""
    module = nn.Linear(4, 2)
    with GradientMonitor(module, (PreactivationGradients(), WeightGradients())) as monitor:
        (module(ROWS).sum() * 1e-30).backward()
    found = {tag: value.item() for tag, value in monitor.values().items()}
    assert found["preactivation_gradient/Linear"] == pytest.approx(4e-30, rel=1e-6)  # of 16 entries
    assert found["gradient_norm/bias"] == pytest.approx(8e-30 * 2**0.5, rel=1e-6)


def test_nothing_waits_for_the_device():
    """Tensors on the meta device have no numbers: reading one raises."""
    with torch.device("meta"):
        module, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), torch.ones(3, 4)
    with GradientMonitor(module) as monitor:
        module(x).sum().backward()
    values = monitor.values()
    assert {value.device.type for value in values.values()} == {"meta"}
    assert {value.ndim for value in values.values()} == {0}
    assert {"gradient_ratio/first_last", "saturated/1", "dead/1", "nonfinite"} <= values.keys()
