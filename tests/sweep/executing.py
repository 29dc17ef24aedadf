"""Small sweeps to execute, and what they leave."""

from pathlib import Path

from optlab.records import collect
from optlab.sweep.execute import execute
from optlab.sweep.ledger_reader import LedgerReader
from optlab.sweep.planned import PlannedRun
from optlab.sweep.run_folder import Grid
from optlab.sweep.settings import SweepSettings
from tests.sweep.composing import configuration

#: Of a result, what depends on the clock and on whoever works on the code.
TIMES = {"total_s", "training_s", "shared_by", "started", "commit", "dirty"}


def sweep_of(folder, *cells, common=()):
    """Return a run in ``folder`` for each mapping of dotted options to values."""
    runs = []
    for number, cell in enumerate(cells):
        config = configuration("logger.console=false", *common)
        config.pop("sweep")
        for key, value in cell.items():
            section, _, option = key.partition(".")
            if option:
                config[section][option] = value
            else:
                config[section] = value
        name = ",".join(f"{key}={value}" for key, value in cell.items())
        runs.append(PlannedRun(number, (), config, Path(folder, name)))
    return runs


def seeds(folder, count, **options):
    """Return runs that differ in their seed alone."""
    return sweep_of(folder, *({"seed": seed} for seed in range(count)), **options)


def do(runs, folder, engine="eager", **settings):
    """Execute a sweep of these runs in ``folder``, and return them as its ledger has them."""
    return execute(
        runs, Path(folder), SweepSettings(engine=engine, grid=Grid(("any",), ()), **settings)
    )


def left(folder):
    """Return what the runs left, by name, without what depends on the clock."""
    return {
        record.folder.name: {k: v for k, v in vars(record.result).items() if k not in TIMES}
        for record in collect(folder)
    }


def states(folder):
    """Return the states of all runs in order, as the ledger has them."""
    with LedgerReader(folder) as ledger:
        return [entry.state for entry in ledger.entries()]
