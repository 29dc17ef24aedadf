"""Foreign optimizers are made by import path, and what they lack is asked for by name."""

from typing import Any

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.optim.foreign import foreign_optimizer

HERE = __name__


class NeedsRows(torch.optim.SGD):
    """Asks for something that a configuration has to give."""

    def __init__(self, params: Any, num_rows: int, lr: float = 0.5) -> None:
        super().__init__(params, lr)
        self.num_rows = num_rows


class TakesModel(torch.optim.SGD):
    """Wants the model, as Adam-mini does."""

    def __init__(self, model: nn.Module, lr: float = 0.5) -> None:
        super().__init__(model.parameters(), lr)


class OddlyNamed(torch.optim.SGD):
    """Has another name for the parameters."""

    def __init__(self, weights: Any, lr: float = 0.5) -> None:
        super().__init__(weights, lr)


class Around(torch.optim.SGD):
    """Works on an optimizer, as Lookahead does."""

    def __init__(self, optimizer: torch.optim.Optimizer, k: int = 5) -> None:
        super().__init__(optimizer.param_groups, 0.5)
        self.inner, self.k = optimizer, k


class Making(torch.optim.SGD):
    """Makes an optimizer of a class, as SAM does, and hands the rest of its options on."""

    def __init__(self, params: Any, base_optimizer: Any, rho: float = 0.1, **kwargs: Any) -> None:
        params = list(params)
        super().__init__(params, 0.5)
        self.inner, self.rho = base_optimizer(params, **kwargs), rho


class Swallowing(torch.optim.SGD):
    """Takes any option, and means one that its signature does not name."""

    def __init__(self, params: Any, weight_decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(params, 0.5, weight_decay=weight_decay)
        self.extra = kwargs


class NeedsGroups(torch.optim.SGD):
    """Wants to be told of each group whether it holds matrices, as Muon does."""

    def __init__(self, params: Any, lr: float = 0.5) -> None:
        for group in params:
            if "matrices" not in group:
                raise ValueError("say matrices=true or false")
        super().__init__(params, lr)


class Broken(torch.optim.SGD):
    """Lacks something on this machine."""

    def __init__(self, params: Any) -> None:
        raise ImportError("install something")


def module() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))


def make(kind: type, **options: Any) -> Any:
    return foreign_optimizer({"target": f"{HERE}.{kind.__name__}", **options}, module())


def refused(kind: type, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make(kind, **options)
    return str(caught.value)


def test_options_are_the_arguments_of_the_class() -> None:
    optimizer = make(NeedsRows, num_rows=7, lr=0.25)
    assert (optimizer.num_rows, optimizer.param_groups[0]["lr"]) == (7, 0.25)
    assert len(optimizer.param_groups[0]["params"]) == 4


def test_a_null_learning_rate_is_left_to_the_class() -> None:
    assert make(NeedsRows, num_rows=7, lr=None).param_groups[0]["lr"] == 0.5


def test_a_missing_argument_is_asked_for_as_it_is_typed() -> None:
    assert "NeedsRows needs num_rows: give optimizer.num_rows=VALUE" in refused(NeedsRows)


@pytest.mark.parametrize("kind", [TakesModel, OddlyNamed])
def test_the_model_and_its_parameters_are_filled_in(kind: type) -> None:
    assert [len(group["params"]) for group in make(kind).param_groups] == [4]


def test_a_wrapper_gets_an_optimizer_with_options_of_its_own() -> None:
    inner = {"target": "torch.optim.SGD", "lr": 0.125, "momentum": 0.75}
    optimizer = make(Around, optimizer=inner, k=3)
    assert (optimizer.inner.defaults["momentum"], optimizer.k) == (0.75, 3)
    assert len(optimizer.param_groups[0]["params"]) == 4


def test_a_wrapper_without_its_optimizer_says_how_to_give_one() -> None:
    assert "optimizer.optimizer.target=IMPORT.PATH" in refused(Around)
    assert "optimizer.base_optimizer=IMPORT.PATH for a class" in refused(Making)


def test_a_mistake_inside_a_wrapper_is_named_by_its_path() -> None:
    assert "(optimizer.optimizer.target)" in refused(
        Around, optimizer={"target": "torch.optim.AdamX"}
    )


def test_a_class_inside_is_given_by_import_path_and_gets_the_other_options() -> None:
    optimizer = make(Making, base_optimizer="torch.optim.SGD", lr=0.125, rho=0.25)
    assert (type(optimizer.inner), optimizer.rho) == (torch.optim.SGD, 0.25)
    assert optimizer.inner.defaults["lr"] == 0.125


def test_a_misspelt_option_does_not_vanish_among_others() -> None:
    assert "unknown option of optimizer 'weight_decy'" in refused(Swallowing, weight_decy=0.1)


def test_an_option_that_the_signature_does_not_name_is_passed_on() -> None:
    assert make(Swallowing, cautious=True).extra == {"cautious": True}


def test_weights_and_the_rest_may_have_options_of_their_own() -> None:
    optimizer = make(NeedsGroups, matrices={"matrices": True, "lr": 0.125}, others={"matrices": 0})
    found = [({p.ndim for p in g["params"]}, g["lr"]) for g in optimizer.param_groups]
    assert found == [({2}, 0.125), ({1}, 0.5)]


def test_a_class_that_needs_groups_says_how_to_give_them() -> None:
    message = refused(NeedsGroups)
    assert "say matrices=true or false; options of parameter groups are" in message
    assert "optimizer.matrices.KEY=VALUE" in message


def test_groups_without_members_are_left_out() -> None:
    weights = nn.Linear(3, 2, bias=False)
    options = {"target": "torch.optim.SGD", "others": {"lr": 0.5}}
    assert len(foreign_optimizer(options, weights).param_groups) == 1


@pytest.mark.parametrize("kind", [Broken, NeedsRows])
def test_a_refusal_is_given_in_the_words_of_the_class(kind: type) -> None:
    message = refused(kind, **({"num_rows": 1, "lr": -1.0} if kind is NeedsRows else {}))
    assert ("install something" if kind is Broken else "Invalid learning rate: -1.0") in message


def test_something_else_than_an_optimizer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must be a torch.optim.Optimizer class, got 'torch.nn"):
        foreign_optimizer({"target": "torch.nn.Linear"}, module())
