"""Every optimizer of pytorch_optimizer, a package of others: it trains, or says what it needs."""

import math
from typing import Any

import pytest
import pytorch_optimizer

from optlab.build import build
from optlab.config import ConfigError
from tests.sweep.composing import configuration

USE_MUON = {"matrices": {"use_muon": True}, "others": {"use_muon": False}}
#: What a user has to say beside the name, because the class does not know it.
NEEDED: dict[str, dict[str, Any]] = {
    "adago": USE_MUON,
    "adamuon": USE_MUON,
    "bsam": {"num_data": 48},
    "muon": USE_MUON,
    "muonclip": USE_MUON,
    "normuon": USE_MUON,
    "ranger21": {"num_iterations": 4},
}
#: What cannot run in a training of optlab's, and why.
REFUSED = {
    "adalomo": "has no step of its own",
    "demo": "You need to install `einops`",
    "distributedmuon": "Default process group has not been initialized",
    "lomo": "has no step of its own",
    "spectralsphere": "only supports 2D parameters",
}
WRAPPERS: dict[str, dict[str, Any]] = {
    "SAM": {"base_optimizer": "torch.optim.SGD", "lr": 0.01},
    "Lookahead": {"optimizer": {"target": "torch.optim.Adam", "lr": 0.01}},
    "ScheduleFreeWrapper": {"optimizer": {"target": "torch.optim.SGD", "lr": 0.01}},
}
#: One of each kind: plain, with a closure, on gradients with a graph, with modes, with groups.
HANDFUL = ("lion", "alig", "adahessian", "schedulefreeadamw", "muon")
ALL = pytorch_optimizer.get_supported_optimizers()


def target(name: str) -> str:
    kind = pytorch_optimizer.load_optimizer(name)
    return f"{kind.__module__}.{kind.__name__}"


def check_that_it_trains(path: str, options: dict[str, Any]) -> None:
    config = configuration("trainer.epochs=6", "model.hidden=[6]")
    config["optimizer"] = {"name": "foreign", "target": path, **options}
    training = build(config)
    start = [p.detach().clone() for p in training.run.module.parameters()]
    outcome = training.fit(lambda *_: None).outcome
    assert (outcome.status, outcome.updates) == ("done", 12)  # some begin to move after ten
    end = list(training.run.module.parameters())
    assert not all(bool((a == b).all()) for a, b in zip(start, end, strict=True))
    assert math.isfinite(training.evaluate(training.data.val)["loss"])


@pytest.mark.parametrize("name", HANDFUL)
def test_one_of_each_kind_trains(name: str) -> None:
    check_that_it_trains(target(name), NEEDED.get(name, {}))


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_train(name: str) -> None:
    check_that_it_trains(f"pytorch_optimizer.{name}", WRAPPERS[name])


@pytest.mark.parametrize(("name", "reason"), [("muon", "matrices.KEY"), ("lomo", "no step")])
def test_what_cannot_run_says_why(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        check_that_it_trains(target(name), {})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of another package are not ours to mend
@pytest.mark.parametrize("name", [name for name in ALL if name not in REFUSED])
def test_every_name_trains(name: str) -> None:
    check_that_it_trains(target(name), NEEDED.get(name, {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*REFUSED, *NEEDED])
def test_every_name_that_needs_more_says_so(name: str) -> None:
    hints = {n: "matrices.KEY" if o is USE_MUON else "give optimizer" for n, o in NEEDED.items()}
    options = USE_MUON if name == "distributedmuon" else {}
    with pytest.raises(ConfigError, match=(REFUSED | hints)[name]):
        check_that_it_trains(target(name), options)
