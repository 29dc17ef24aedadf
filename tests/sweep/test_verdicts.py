"""Verdicts from a run to the places where a person finds them, alone and in a sweep."""

import polars as pl

from optlab.cli import main
from optlab.results import read_result
from tests.sweep.executing import do, sweep_of

ZEROS = ("task=blobs", "init=zeros", "trainer.epochs=4", "trainer.log_every=5")


def names(result):
    return [verdict.name for verdict in result.verdicts]


def sentence_of(result, name):
    (verdict,) = [verdict for verdict in result.verdicts if verdict.name == name]
    return verdict.sentence


def test_a_run_tells_its_verdicts_on_the_terminal_in_its_result_and_its_table(tmp_path, capsys):
    where = tmp_path / "run"
    assert main(["train", *ZEROS, f"hydra.run.dir={where}"]) == 0
    result = read_result(where)
    assert "symmetric_units" in names(result)
    text = capsys.readouterr().out
    shown = [line for line in text.splitlines() if line.startswith("run: symmetric_units: ")]
    assert shown == [f"run: symmetric_units: {sentence_of(result, 'symmetric_units')}"]
    table = pl.read_parquet(where / "metrics.parquet")
    recorded = table.filter(pl.col("tag").str.starts_with("verdict/"))
    assert recorded["tag"].to_list() == [f"verdict/{name}" for name in names(result)]
    assert set(recorded["update"]) == {result.updates}


def test_a_run_of_a_sweep_gets_the_verdicts_of_the_run_alone(tmp_path):
    runs = sweep_of(tmp_path / "sweep", {"seed": 0}, {"seed": 1}, common=ZEROS[1:])
    for run in do(runs, tmp_path / "sweep", engine="eager"):
        alone = tmp_path / f"alone_{run.number}"
        line = [str(run.folder / "config.yaml"), "trainer.engine=functional"]
        assert main(["train", *line, f"hydra.run.dir={alone}"]) == 0
        assert sorted(names(read_result(run.folder))) == sorted(names(read_result(alone))) != []
