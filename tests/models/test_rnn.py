"""The recurrent network and its ways to be given inputs and targets (RNN-01 to RNN-07, E29)."""

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.init import he_normal_, initialize
from optlab.models.context import ModelContext
from optlab.models.recurrent import RecurrentModel
from optlab.models.rnn import RNNBuilder
from optlab.models.rnn_feedback import FeedbackRNN
from optlab.models.rnn_units import Units
from optlab.nn import RNN, ReLU
from optlab.nn.dropout import Dropout
from optlab.optim.regularizers import is_weight
from optlab.registry import models

#: Against other orders of the same sums in float64.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def context(input_shape=(6, 3), num_outputs=2, vocabulary=None, target_steps=None):
    return ModelContext(
        input_shape, num_outputs, ReLU, vocabulary=vocabulary, target_steps=target_steps
    )


#: The kinds of network that read a step's input.
KINDS = [{}, {"feedback": "output"}, {"feedback": "both"}, {"inputs": "clamped"}]


def build(task=None, seed=0, **options):
    module = models.create("rnn", options)(task or context())
    initialize(module, he_normal_, seed)
    return module.double()


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def randomize(module, seed=5):
    for number, parameter in enumerate(module.parameters()):
        parameter.data = 0.5 * numbers(*parameter.shape, seed=seed + number)
    return module


def test_layers_with_a_readout_equal_torch():
    model = randomize(build(hidden=5, layers=2, learn_initial=True))
    rnn, readout = nn.RNN(3, 5, 2, batch_first=True).double(), nn.Linear(5, 2).double()
    rnn.load_state_dict(model.recurrent.state_dict())
    readout.load_state_dict(model.output.state_dict())
    x = numbers(4, 6, 3)
    states, _ = rnn(x, model.initial.view(2, 1, 5).repeat(1, 4, 1))
    torch.testing.assert_close(model(x), readout(states[:, -1]), **CLOSE)
    model.target_steps = 3
    torch.testing.assert_close(model(x), readout(states[:, -3:]), **CLOSE)


GIVEN = {
    "all units at first": {"inputs": "initial", "steps": 6},
    "some units at first": {"inputs": "initial", "steps": 6},
    "some units at every step": {"inputs": "clamped", "steps": 6},
    "weights": {"inputs": "weights"},
}
WANTED = ["all units at last", "all units in the last steps", "some units"]


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("wanted", WANTED)
def test_every_way_of_inputs_learns_every_way_of_targets(given, wanted):
    """RNN-02 to RNN-04 times RNN-05 to RNN-07: three rows with answers of their own."""
    x = 0.9 * torch.tensor([[1, -1, 1], [-1, 1, 1], [1, 1, -1]], dtype=torch.float64)
    if given == "all units at first":
        x = torch.cat([x, x.flip(0), x[:, :2]], 1)
    units = 5 if given == "some units at every step" else 8
    num_outputs = 2 if wanted == "some units" else units
    goal = 0.7 * numbers(3, num_outputs, seed=3).sign()
    steps = 2 if wanted == "all units in the last steps" else None
    if steps:
        goal = goal.unsqueeze(1).expand(-1, steps, -1)
    if given == "weights":
        x = x.unsqueeze(1).expand(-1, 6, -1)
    task = context(tuple(x.shape[1:]), num_outputs, target_steps=steps)
    model = build(task, outputs="units", hidden=8, **GIVEN[given])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss = (model(x) - goal).square().mean()
        loss.backward()
        optimizer.step()
        if loss < 5e-3:
            break
    assert float((model(x) - goal).square().mean().detach()) < 1e-2


def test_clamped_units_are_the_formula_with_weights_read_from_one_matrix():
    """RNN-04 equals RNN-01; rows of given units, and their bias, have no effect."""
    model = randomize(build(hidden=8, inputs="clamped", learn_initial=True))
    rnn, readout = nn.RNN(3, 5, batch_first=True, bias=True).double(), nn.Linear(5, 2).double()
    zero = torch.zeros(5, dtype=torch.float64)
    weight, bias = model.weight.detach(), model.bias.detach()
    weights = [weight[3:, :3], weight[3:, 3:], bias[3:], zero]
    rnn.load_state_dict(dict(zip(dict(rnn.named_parameters()), weights, strict=True)))
    readout.load_state_dict(model.output.state_dict())
    x = numbers(4, 6, 3)
    states, _ = rnn(x, model.initial[3:].expand(1, 4, 5))
    torch.testing.assert_close(model(x), readout(states[:, -1]), **CLOSE)
    model(x).square().sum().backward()
    for parameter in (model.weight, model.bias, model.initial):
        assert not parameter.grad[:3].any()
        assert parameter.grad[3:].all()


def test_a_held_input_is_the_same_at_every_step():
    held = build(context((3,)), hidden=8, inputs="clamped", steps=6)
    over_time = build(context((6, 3)), hidden=8, inputs="clamped")
    x = numbers(4, 3)
    torch.testing.assert_close(held(x), over_time(x.unsqueeze(1).repeat(1, 6, 1)), **CLOSE)


@pytest.mark.parametrize("steps", [1, 7])
def test_initial_states_are_the_row_and_then_the_learned_ones(steps):
    """RNN-03, against a loop; what is learned about given units has no gradient."""
    options = {"hidden": 8, "inputs": "initial", "steps": steps, "learn_initial": True}
    model = randomize(build(context((3,), 8), outputs="units", **options))
    x = numbers(4, 3)
    state = torch.cat([x, model.initial[3:].expand(4, -1)], 1)
    for _ in range(steps):
        state = torch.tanh(state @ model.weight.T + model.bias)
    torch.testing.assert_close(model(x), state, **CLOSE)
    model(x).square().sum().backward()
    assert not model.initial.grad[:3].any()
    assert model.initial.grad[3:].all()


@pytest.mark.parametrize("feedback", ["output", "both"])
@pytest.mark.parametrize("nonlinearity", ["tanh", "identity"])
def test_output_feedback_equals_a_loop(feedback, nonlinearity):
    """E29: the readout of a step is seen at the next; gradients too."""
    options = {"feedback": feedback, "nonlinearity": nonlinearity, "learn_initial": True}
    model = randomize(build(context(target_steps=4), hidden=5, **options))
    f = torch.tanh if nonlinearity == "tanh" else lambda z: z
    x, outputs = numbers(4, 6, 3), []
    state = model.initial.expand(4, -1)
    for t in range(6):
        seen = x[:, t] @ model.weight_ih.T + model.output(state) @ model.weight_hy.T + model.bias
        state = f(seen if feedback == "output" else seen + state @ model.weight_hh.T)
        outputs.append(model.output(state))
    found = []
    for scores in (model(x), torch.stack(outputs[-4:], 1)):
        model.zero_grad()
        scores.sin().sum().backward(retain_graph=True)
        found.append([scores, *(p.grad.clone() for p in model.parameters())])
    torch.testing.assert_close(*found, **CLOSE)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"feedback": "both"},
        {"inputs": "clamped"},
    ],
)
def test_one_set_of_weights_serves_any_length(options):
    """RNN-11."""
    counts = set()
    for length in (5, 500):
        model = build(context((length, 3)), hidden=6, **options)
        assert model(numbers(2, 50, 3)).shape == (2, 2)
        counts.add(sum(p.numel() for p in model.parameters()))
    assert len(counts) == 1


@pytest.mark.parametrize("options", [{}, {"feedback": "output"}, {"inputs": "clamped"}])
def test_tokens_are_one_hot_inputs(options):
    tokens = torch.tensor([[0, 2, 1, 1], [2, 2, 0, 1]])
    model = build(context((4,), vocabulary=3), hidden=6, **options)
    numeric = build(context((4, 3)), hidden=6, **options)
    one_hot = torch.eye(3, dtype=torch.float64)[tokens]
    torch.testing.assert_close(model(tokens), numeric(one_hot), rtol=0, atol=0)
    with pytest.raises(ConfigError, match=r"tokens must be in \[0, 2\], got values from 1 to 3"):
        model(tokens + 1)
    with pytest.raises(ConfigError, match=r"tokens must be in \[0, 2\], got values from -1 to 1"):
        model(tokens - 1)
    with pytest.raises(ConfigError, match="reads tokens, integers below 3, got "):
        model(one_hot)
    with pytest.raises(ConfigError, match="reads floating-point numbers, got "):
        numeric(tokens)


@pytest.mark.parametrize("rule", ["orthogonal", "identity"])
@pytest.mark.parametrize(
    "options", [{}, {"feedback": "both"}, {"inputs": "initial", "steps": 2, "hidden": 32}]
)
def test_recurrent_weights_start_with_their_gain(rule, options):
    """GRD-07."""
    model = build(recurrent_init=rule, recurrent_gain=1.5, **options)
    names = {"recurrent.weight_hh_l0", "weight_hh", "weight"}
    ((_, weight),) = [pair for pair in model.named_parameters() if pair[0] in names]
    # Drawn in float32.
    eye = 2.25 * torch.eye(len(weight), dtype=torch.float64)
    torch.testing.assert_close(weight @ weight.T, eye, rtol=0, atol=1e-5)
    assert all(not p.any() for name, p in model.named_parameters() if "bias" in name)


@pytest.mark.parametrize("options", [{"layers": 2}, {"feedback": "output"}, {"inputs": "clamped"}])
def test_dropout_acts_in_training_alone(options):
    """REG-09: rnn is the middle of the notes' band, 0.2 to 0.3."""
    model = build(hidden=16, dropout="rnn", **options)
    x = numbers(4, 6, 3)
    layers = [part for part in model.modules() if isinstance(part, Dropout)]
    assert [part.rate for part in layers] == [0.25] * options.get("layers", 1)
    assert not torch.equal(model(x), model(x))
    model.eval()
    torch.testing.assert_close(model(x), model(x), rtol=0, atol=0)


def test_names_of_parameters_are_readable():
    layered = build(layers=2, learn_initial=True).state_dict()
    assert {"recurrent.weight_hh_l1", "output.weight", "initial"} <= set(layered)
    assert set(build(feedback="both").state_dict()) == {
        *("weight_ih", "weight_hy", "weight_hh", "bias", "output.weight", "output.bias")
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": "clamped", "layers": 2}, "inputs=clamped does not go with model.layers=2"),
        ({"inputs": "clamped", "feedback": "both"}, "not go with model.feedback=both"),
        ({"outputs": "units", "feedback": "both"}, "outputs=units does not go with"),
        ({"feedback": "both", "layers": 2}, "feedback=both does not go with model.layers=2"),
        ({"outputs": "units", "dropout": 0.5}, "outputs=units does not go with model.dropout"),
        ({"steps": 4}, "inputs=weights does not go with model.steps=4"),
        ({"inputs": "clamped", "steps": 4}, "the task's have 6 time steps; leave model.steps out"),
        ({"inputs": "initial", "hidden": 18}, "needs model.steps"),
        ({"inputs": "initial", "steps": 4, "hidden": 17}, "18 units, and there are 17"),
        ({"inputs": "clamped", "hidden": 3}, "3 units, and there are 3; give more than that"),
        ({"outputs": "units", "hidden": 1}, "2 scores from the states of 1 units"),
        ({"outputs": "units", "hidden": 4, "inputs": "clamped"}, "states of 1 units"),
        (
            {"inputs": "initial", "steps": 4, "hidden": 18, "learn_initial": True},
            "learn_initial=true would do nothing",
        ),
        ({"recurrent_init": "same", "recurrent_gain": 2.0}, "recurrent_gain=2 would do nothing"),
        ({"hidden": 0}, r"hidden must be in \[1, 1048576\], got 0 \(model.hidden\)"),
        ({"inputs": "output"}, "inputs must be one of weights, initial, clamped"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        RNNBuilder(**options)(context())


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (context((3,)), r"model=rnn reads inputs of shape \(T, I\)"),
        (context((1, 6, 3)), r"and the task's have shape \(1, 6, 3\)"),
        (context((6, 3), vocabulary=5), r"reads inputs of shape \(T,\), tokens"),
        (context(target_steps=7), "scores of the last 7 time steps, and there are 6"),
        (context(target_steps=0), r"target_steps must be in \[1, inf\), got 0"),
    ],
)
def test_tasks_that_do_not_fit_are_refused(task, message):
    with pytest.raises(ConfigError, match=message):
        build(task)


@pytest.mark.parametrize("options", [{}, {"feedback": "both"}, {"inputs": "clamped"}])
def test_too_short_an_input_is_refused(options):
    model = build(context(target_steps=4), hidden=6, **options)
    with pytest.raises(ConfigError, match="scores of the last 4 time steps, and there are 3"):
        model(numbers(2, 3, 3))


@pytest.mark.parametrize(
    ("options", "shape", "wanted"),
    [
        ({}, (2, 6, 4), r"\(B, T, 3\)"),
        ({}, (6, 3), r"\(B, T, 3\)"),
        ({"feedback": "both"}, (2, 6, 4), r"\(B, T, 3\)"),
        ({"inputs": "clamped"}, (2, 6, 4), r"\(B, T, 3\)"),
        ({"inputs": "initial", "hidden": 20, "steps": 2}, (2, 6, 4), r"\(B, 18\)"),
        ({"inputs": "initial", "hidden": 20, "steps": 2}, (18,), r"\(B, 18\)"),
    ],
)
def test_inputs_of_another_shape_are_refused(options, shape, wanted):
    with pytest.raises(ConfigError, match=f"reads inputs of shape {wanted}, got"):
        build(**options)(numbers(*shape))


def test_units_that_cannot_run_are_refused():
    with pytest.raises(ConfigError, match="say how many steps to run"):
        Units(8, 3, 2, clamped=False, steps=None)
    with pytest.raises(ConfigError, match="8 states are given for 8 units"):
        Units(8, 8, 2, clamped=True, steps=None)
    with pytest.raises(ConfigError, match="3 scores cannot be taken from the states of 2 units"):
        Units(8, 6, 3, clamped=True, steps=None, readout=False)
    with pytest.raises(ConfigError, match=r"steps must be in \[1, 10000\], got 0"):
        Units(8, 3, 2, clamped=False, steps=0)


def test_layers_that_cannot_be_read_are_refused():
    with pytest.raises(ConfigError, match="batch_first=True"):
        RecurrentModel(RNN(3, 5), 2)
    layers = RNN(3, 5, batch_first=True)
    with pytest.raises(ConfigError, match="6 scores cannot be taken from the states of 5 units"):
        RecurrentModel(layers, 6, readout=False)


@pytest.mark.parametrize(
    "model",
    [
        lambda **options: RecurrentModel(RNN(3, 5, batch_first=True), 2, **options),
        lambda **options: FeedbackRNN(3, 5, 2, **options),
        lambda **options: Units(8, 3, 2, clamped=True, steps=None, **options),
    ],
    ids=["layers", "feedback", "units"],
)
def test_no_step_to_answer_is_refused(model):
    with pytest.raises(ConfigError, match=r"target_steps must be in \[1, inf\), got 0"):
        model(target_steps=0)


@pytest.mark.parametrize("options", KINDS)
def test_inputs_without_a_step_or_of_another_type_are_refused(options):
    model = build(hidden=8, **options)
    with pytest.raises(ConfigError, match="a sequence needs at least one time step"):
        model(numbers(2, 0, 3))
    with pytest.raises(ConfigError, match=r"parameters' dtype torch.float64, got torch.float32"):
        model(numbers(2, 6, 3).float())


@pytest.mark.parametrize("options", KINDS)
def test_several_answers_end_with_the_last_and_are_those_of_the_last_steps(options):
    x = numbers(2, 6, 3)
    one, some, all_ = (build(context(target_steps=s), **options)(x) for s in (None, 2, 6))
    torch.testing.assert_close(some, all_[:, -2:], **CLOSE)
    torch.testing.assert_close(some[:, -1], one, **CLOSE)


@pytest.mark.parametrize("options", KINDS)
def test_autocast_costs_precision_alone(options):
    model, x = build(**options).float(), numbers(4, 6, 3).float()
    wanted = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(x)
    # bfloat16 has 8 bits; states are rounded at six steps, and the readout sums 64 of them.
    torch.testing.assert_close(scores.float(), wanted, rtol=0, atol=0.1)
    scores.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_initial_states_are_no_weights():
    """Penalties and Muon take what has two axes."""
    model = build(layers=2, learn_initial=True)
    assert model.initial.shape == (2 * 64,)
    assert not is_weight(model.initial)


def test_a_task_of_patterns_is_told_what_does_run_on_it():
    """RNN-02, RNN-06: an input without time, and several steps of answers."""
    task = context((16,), 16, target_steps=4)
    messages = []
    for name in ("mlp", "rnn", "lstm", "window_mlp", "transformer"):
        with pytest.raises(ConfigError, match=r"choose model=rnn model\.inputs=initial") as caught:
            models.create(name, {})(task)
        messages.append(str(caught.value))
    for message in messages:
        assert message.endswith("model.steps=8 (or model.inputs=clamped)")
    for inputs in ("initial", "clamped"):
        module = models.create("rnn", {"inputs": inputs, "steps": 8})(task)
        assert module(numbers(2, 16).float()).shape == (2, 4, 16)
