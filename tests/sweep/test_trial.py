"""Runs with plugins are tried, so that the plan names those that no compiled program takes."""

import sys

import pytest

from optlab import registry
from optlab.sweep.engine import missing_compiler
from optlab.sweep.plan import plan
from optlab.sweep.plan_text import render_plan
from optlab.sweep.trial import refusal_of_native
from tests.sweep.planning import planned

pytestmark = pytest.mark.skipif(bool(missing_compiler()), reason="no C compiler")

PLUGIN = """
from torch import nn
from optlab.registry import models

class Asking(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
    def forward(self, x):
        y = self.linear(x.flatten(1))
        return y if y.sum().item() > 0 else -y

@models.register("asking")
def asking(context):
    return Asking(context.num_inputs, context.num_outputs)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "asking_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    yield "asking_plugin"
    registry.models._entries.pop("asking", None)
    sys.modules.pop("asking_plugin", None)


def test_a_model_that_cannot_be_recorded_is_named_with_the_reason_in_the_plan(plugin):
    runs = [planned(seed, plugins=[plugin], seed=seed, model={"name": "asking"}) for seed in (0, 1)]
    (program,) = plan(runs).programs
    assert (program.engine, program.arrays) == ("single", (1, 1))
    assert "value" in program.reason
    assert "singly, program 1: the model cannot be recorded" in render_plan(plan(runs))


def test_a_model_of_optlab_is_stacked_beside_a_plugin(plugin):
    assert not refusal_of_native(planned(plugins=[plugin]))
    assert plan([planned(plugins=[plugin])]).programs[0].engine == "native"
