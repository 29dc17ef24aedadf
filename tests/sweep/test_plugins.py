"""Own parts without a fork: a module in the current folder registers a choice (LAY-04)."""

import sys

import pytest
import yaml
from hydra.core.config_store import ConfigStore

from optlab import registry
from optlab.cli import main
from tests.sweep.running import TINY, results

PLUGIN = '''
from dataclasses import dataclass

import torch

from optlab.optim import Hyper, Rule, RuleOptimizer
from optlab.registry import activations, optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class SignHyper(Hyper):
    lr: NonNegative = 0.01
    keep: Decay = 0.5


def init_state(param, hyper):
    return {"mean": torch.zeros_like(param)}


def update(grad, param, state, hyper):
    mean = hyper.keep * state["mean"] + (1 - hyper.keep) * grad
    return param - hyper.lr * torch.sign(mean), {"mean": mean}


@optimizers.register("my_sign")
class Sign(RuleOptimizer):
    """Sign of a running mean."""

    rule = Rule(SignHyper, init_state, update)
'''


@pytest.fixture
def plugin(folder, monkeypatch):
    (folder / "my_sign_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(folder))
    yield "plugins=[my_sign_plugin]"
    sys.modules.pop("my_sign_plugin", None)
    registry.optimizers._entries.pop("my_sign", None)
    ConfigStore.instance().repo["optimizer"].pop("my_sign.yaml", None)


def test_a_plugins_optimizer_is_a_choice_with_options_and_ranges(plugin, train):
    where = train("run", plugin, "optimizer=my_sign", "optimizer.keep=0.25")
    saved = yaml.safe_load((where / "config.yaml").read_text())
    assert saved["optimizer"] == {"name": "my_sign", "lr": 0.01, "keep": 0.25}
    assert saved["plugins"] == ["my_sign_plugin"]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("torch.sign(mean)", "mean / mean.norm()", "set elementwise=False in its Rule"),
        (', {"mean": mean}', "", "my_sign_plugin.update must return (new_param, new_state); found"),
        ('state["mean"]', 'state["m"]', "KeyError: 'm' (my_sign_plugin.py, line 22: mean = "),
        (
            '{"mean": torch.zeros_like(param)}',
            "None",
            "init_state must return a mapping of tensors",
        ),
        (
            "@dataclass(frozen=True)",
            "",
            "class SignHyper of my_sign_plugin has the fields lr, keep",
        ),
        ("(frozen=True)", "", "; write @dataclass(frozen=True) above the class"),
    ],
)
def test_a_rule_that_breaks_its_contract_is_refused_in_one_sentence(
    plugin, folder, capsys, right, wrong, message
):
    assert right in PLUGIN
    (folder / "my_sign_plugin.py").write_text(PLUGIN.replace(right, wrong))
    assert main(["train", *TINY, plugin, "optimizer=my_sign"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_plugins_options_are_checked(plugin, folder, capsys):
    assert main(["train", plugin, "optimizer=my_sign", "optimizer.keep=1"]) == 2
    assert "keep must be in [0, 1), got 1.0 (optimizer.keep)" in capsys.readouterr().err


def test_a_plugins_optimizer_is_swept_beside_the_others(plugin, folder):
    assert main(["train", "-m", *TINY, plugin, "optimizer=my_sign,adam", "sweep.dir=out"]) == 0
    assert set(results(folder / "out")) == {"optimizer=my_sign", "optimizer=adam"}
