"""Stages: sweeps whose runs a protocol lists."""

import sqlite3
import sys

import pytest
from hydra.core.config_store import ConfigStore

from optlab import registry
from optlab.protocol.record import read_record
from optlab.protocol.stage import ended
from optlab.report.ranking import score
from tests.protocol.following import LINE, OWN_FILE, own_protocol, sweep
from tests.sweep.running import results


def test_a_run_that_ended_its_process_counts_as_failed(copied):
    stage = copied / "out" / "tune"
    with sqlite3.connect(stage / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE runs SET state = 'killed', result = NULL, cause = 'no memory'")
    ledger.close()
    defaults, *_ = read_record(copied / "out").winners
    (record,) = ended(stage, defaults.jobs([0])).values()
    assert (record.result.status, record.result.cause) == ("failed", "no memory")
    assert score(record, "val", "accuracy") == 0.0


def test_what_a_task_sweeps_of_itself_is_no_part_of_a_protocol(folder):
    """Test functions come with starts and learning rates to sweep over."""
    own_protocol(folder, OWN_FILE.replace("[1, 2, 4]", "[1, 2]"))
    line = ["task=rosenbrock", "trainer.epochs=20", "logger.console=false"]
    assert sweep(*LINE[:2], *line, LINE[-1], "--quiet") == 0
    assert len(results(folder / "out" / "tune")) == 2 * 2
    assert read_record(folder / "out").targets["rosenbrock"]["metric"] == "loss"


@pytest.fixture
def plugin(folder, monkeypatch):
    """Return the word of a module with an optimizer of its own; afterwards there is none."""
    code = "from optlab.optim import Adam\nfrom optlab.optim.kit import optimizers\n\n\n"
    code += '@optimizers.register("mine_here")\nclass Mine(Adam):\n    """Mine."""\n'
    (folder / "my_rule_here.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    yield "plugins=[my_rule_here]"
    sys.modules.pop("my_rule_here", None)
    registry.optimizers._entries.pop("mine_here", None)
    ConfigStore.instance().repo["optimizer"].pop("mine_here.yaml", None)


def test_an_optimizer_of_a_plugin_is_searched_around_its_default(folder, plugin):
    own_protocol(folder, OWN_FILE.replace("[1, 2, 4]", "[1, 2]"))
    assert sweep(LINE[0], plugin, "optimizer=mine_here,nag", *LINE[2:], "--quiet") == 0
    tuned = [name for name in results(folder / "out" / "tune") if "mine_here" in name]
    rates = [float(name.split("lr=")[1].partition(",")[0]) for name in tuned if "lr=" in name]
    assert (len(tuned), len(rates)) == (2, 1)
    assert 1e-5 <= rates[0] <= 0.1
    assert sweep("--resume", "out") == 2  # it would run code that only the folder names
