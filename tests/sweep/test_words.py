"""What is typed wrong and Hydra would answer with a traceback, its usage, or a run nobody meant."""

import pytest

from optlab.cli import main
from optlab.config import ConfigError
from optlab.sweep.words import num_jobs, parse, refuse_too_many

LINES = {
    "train model.hidden.foo=3": "a list has no option 'foo'; give the list as a whole",
    "train model.hidden={a:1}": "Cannot merge DictConfig with ListConfig",
    "train trainer=5": "trainer must be the name of a choice, got 5 (trainer)",
    "train experiment=null": "experiment must be the name of a choice, got null (experiment)",
    "train optimizer=": "unknown optimizer ''; known, nearest first: ",
    "train optimizer.name=sgd": "optimizer=sgd has no option 'beta1'",
    "train optimizer.lr=1e-3=2": "cannot read the override 'optimizer.lr=1e-3=2'",
    "train optimizer.lr=choice(": "cannot read the override 'optimizer.lr=choice('",
    "train optimizer.lr='1": "quotes that do not match, or characters that need quotes",
    "train optimizer.lr=\u00e9": "quotes that do not match, or characters that need quotes",
    "train +foo=1": "unknown section of the configuration 'foo'",
    "train ~optimizer": "the configuration has no optimizer.name, which hydra.run.dir refers to",
    "train hydra.run.dir=": "hydra.run.dir must be a folder, got nothing",
    "train --frob": "unknown flag '--frob'; known, nearest first: --",
    "train --plan": "--plan is for a sweep: optlab sweep --plan",
    "train --cfg nonsense": "invalid choice: 'nonsense' (choose from",
    "train --config-name": "--config-name/-cn: expected one argument",
    "train --config-dir nowhere": "nowhere' not found",
    "train task=quadratic model=mlp": "task=quadratic is a test function",
    "train model=point": "model=point is a point on a test function, and task=digits has rows",
    "train task=blobs task.features=1048576 task.rows=1000000000": "more memory than there is",
    "train model=small_cnn model.kernel=1024 model.channels=[1048576,1048576]": (
        "model=small_cnn needs more memory than there is"
    ),
    f"train init={'x' * 3000}": "init must be the name of a choice, got 'xxx",
    f"train {'x' * 3000}=1": "there is no option with a name like 'xxx",
    f"train optimizer.lr={'[' * 500}": "cannot read the override 'optimizer.lr=[[[",
    f"train trainer.epochs={'9' * 5000}": "the line cannot be read: Exceeds the limit",
    f"train model.hidden=[{','.join(['-1'] * 3000)}]": "hidden[0] must be in [1, 1048576], got -1",
    "sweep --frob optimizer=adam": "unknown flag '--frob'",
    "sweep sweep.workers=0": "workers must be in [1, inf), got 0 (sweep.workers)",
    "sweep seed=range(0,3,0)": "the line cannot be read: range() arg 3 must not be zero",
}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:40])
def test_a_wrong_line_gets_a_sentence_and_leaves_nothing(folder, capfd, line):
    assert main(line.split(" ")) == 2
    out, err = capfd.readouterr()
    assert LINES[line] in err
    assert len(err.strip().splitlines()) == 1
    assert len(err) < 700
    assert out == ""
    assert list(folder.iterdir()) == []


def test_a_list_of_values_may_be_longer_than_a_file_name(folder, capfd):
    seeds = ",".join(map(str, range(300)))
    assert main(["sweep", f"seed={seeds}", "trainer.epochs=0", "task=xor", "--plan"]) == 0
    assert "300 runs" in capfd.readouterr().out


def test_a_plugin_that_ends_the_process_is_a_mistake_like_any_other(folder, capfd):
    (folder / "ending_plugin.py").write_text("import sys\n\nsys.exit(0)\n")
    assert main(["train", "plugins=[ending_plugin]"]) == 2
    assert "cannot import plugin 'ending_plugin': SystemExit: 0" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["seed=range(0,1000000000000)"], 1_000_000_000_000),
        (["seed=range(10,0,-3)", "optimizer.lr=range(0.1,0.55,0.2)"], 12),
        (["seed=range(3,3)"], 0),
    ],
)
def test_values_of_a_range_are_counted_without_being_listed(words, count):
    assert num_jobs(parse(words)) == count


def test_a_sweep_of_more_runs_than_memory_holds_is_refused_at_once():
    with pytest.raises(ConfigError, match="2,000,000 runs, and 100,000 are the most"):
        refuse_too_many(parse(["seed=range(0,1000000)", "optimizer=adam,nag"]))
