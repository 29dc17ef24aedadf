"""One run by itself goes through compiled programs where it can, and through the loop elsewhere."""

import dataclasses

import pytest
import torch
from torch import nn

from optlab.compiler import NoCompiler
from optlab.config import ConfigError
from optlab.train.alone import train_alone
from optlab.train.native.function import kernels
from tests.train.native.test_backend import DOUBLE, parts

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)

SHORT = (DOUBLE, "trainer.epochs=2", "optimizer=minibatch_gd")


class Asking(nn.Module):
    """A layer that looks at a value, in evaluation alone."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        return self.layer(x if self.training or float(x.sum()) > -1e9 else -x)


def ended(each):
    records = []
    found, execution = train_alone(each, lambda *record: records.append(record))
    return found, execution, records


def test_the_loop_and_compiled_programs_record_the_same():
    native, execution, records = ended(parts(*SHORT))
    loop, other, loop_records = ended(parts(*SHORT, "trainer.engine=functional"))
    assert (execution, other != "native") == ("native", True)
    assert native.scores == {
        split: pytest.approx(values, rel=1e-9) for split, values in loop.scores.items()
    }
    assert [record[:2] for record in records] == [record[:2] for record in loop_records]


def asking():
    module = Asking().double()
    with torch.no_grad():
        for param in module.parameters():
            param.fill_(0.01)
    return module


def test_a_model_that_only_evaluation_refuses_trains_by_the_loop_from_where_it_began():
    each = dataclasses.replace(parts(*SHORT), module=asking(), structure="asking alone")
    found, execution, records = ended(each)
    assert execution != "native"
    assert records
    plain = dataclasses.replace(
        parts(*SHORT, "trainer.engine=functional"), module=asking(), structure="asking in the loop"
    )
    assert found.scores == ended(plain)[0].scores


def test_the_engine_that_was_asked_for_is_not_left_silently():
    each = parts(*SHORT, "trainer.engine=native")
    each = dataclasses.replace(each, module=asking(), structure="asking for native")
    with pytest.raises(ConfigError, match=r"cannot train this run.*value of a tensor"):
        ended(each)
