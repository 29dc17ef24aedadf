"""The multilayer perceptron over a window of the last inputs (RNN-10)."""

import pytest
import torch

from optlab.config import ConfigError
from optlab.init import he_normal_, initialize
from optlab.models.context import ModelContext
from optlab.models.window_mlp import WindowMLP, build_window_mlp
from optlab.nn import BatchNorm1d, ReLU, Tanh


def context(input_shape=(6, 3), num_outputs=2, **options):
    return ModelContext(input_shape, num_outputs, **{"activation": ReLU} | options)


def build(task=None, **options):
    module = build_window_mlp(task or context(), **options)
    initialize(module, he_normal_, 0)
    return module.double()


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("window", [1, 4, 9])
def test_scores_of_a_step_are_those_of_its_window(window):
    """The steps before the first are 0, also for a window longer than the sequence."""
    model = build(context(target_steps=6), window=window)
    x = numbers(4, 6, 3)
    before = torch.cat([torch.zeros(4, window - 1, 3, dtype=torch.float64), x], 1)
    for t in range(6):
        seen = before[:, t : t + window].flatten(1)
        torch.testing.assert_close(model(x)[:, t], model.mlp(seen))


@pytest.mark.parametrize("window", [1, 3])
def test_sees_nothing_outside_its_window(window):
    model = build(window=window, hidden=(32,))
    x = numbers(4, 6, 3).requires_grad_()
    model(x).square().sum().backward()
    assert x.grad[:, 6 - window :].any(-1).all()
    assert not x.grad[:, : 6 - window].any()


def test_last_steps_hold_the_score_of_the_last():
    one, some = build(window=3), build(context(target_steps=4), window=3)
    x = numbers(5, 6, 3)
    torch.testing.assert_close(some(x)[:, -1], one(x))
    assert some(x).shape == (5, 4, 2)


def test_tokens_are_one_hot_inputs():
    tokens = torch.tensor([[0, 2, 1, 1], [2, 2, 0, 1]])
    model = build(context((4,), vocabulary=3), window=2)
    one_hot = torch.eye(3, dtype=torch.float64)[tokens]
    torch.testing.assert_close(model(tokens), build(context((4, 3)), window=2)(one_hot))


def test_hidden_layers_have_the_activation_norm_and_dropout_of_the_run():
    task = context(activation=Tanh, norm=BatchNorm1d, target_steps=2)
    model = build(task, hidden=(7, 5), dropout=0.5)
    names = [type(part).__name__ for part in model.mlp.hidden[1]]
    assert names == ["Linear", "BatchNorm1d", "Tanh", "Dropout"]
    assert model(numbers(4, 6, 3)).shape == (4, 2, 2)


def test_options_and_tasks_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"model=window_mlp reads inputs of shape \(T, I\)"):
        build(context((3,)))
    with pytest.raises(ConfigError, match="scores of the last 7 time steps, and there are 6"):
        build(context(target_steps=7))
    with pytest.raises(ConfigError, match=r"shape \(B, T, 3\), got \(4, 6, 2\)"):
        build()(numbers(4, 6, 2))
    with pytest.raises(ConfigError, match="a sequence needs at least one time step"):
        build()(numbers(4, 0, 3))
    with pytest.raises(ConfigError, match=r"parameters' dtype torch.float64, got torch.float32"):
        build()(numbers(4, 6, 3).float())


@pytest.mark.parametrize("option", ["window", "target_steps"])
def test_no_step_to_see_or_to_answer_is_refused(option):
    with pytest.raises(ConfigError, match=rf"{option} must be in \[1, (10000\]|inf\)), got 0"):
        WindowMLP(3, [4], 2, **{option: 0})
