"""Short ways to start the command line on tiny settings and to read what it left."""

import polars as pl

from optlab.results import read_result

TINY = [
    *("task=xor", "model.hidden=[4]", "trainer.epochs=3"),
    *("logger.console=false", "logger.figures=false"),
]


def curve(folder):
    """Return every logged value but the clock's: (update, tag, value) rows in order."""
    table = pl.read_parquet(folder / "metrics.parquet")
    return table.select("update", "epoch", "tag", "value").rows()


def results(folder):
    """Return the results of a sweep's runs by folder name."""
    runs = sorted(path.parent for path in folder.rglob("result.json"))
    return {run.name: read_result(run) for run in runs}
