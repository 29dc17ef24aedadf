"""What the diagnostics cost: the time of a training with them over that without.

Three networks are trained through `optlab.train` with the engine that a user gets, at the presets'
own cadences and with everything measured at every 1st, 16th, 64th and 256th update. Rounds are
interleaved in one process and counted in the process's own CPU time, so that the machine's drift
cancels; ratios are what counts, the median of rounds. A run alone writes its table and its
TensorBoard file, histograms included, as a user's does; the MLP is also trained as one of 64 runs
at once, whose records go nowhere: there the engine is all that counts.

    python scripts/bench_diagnostics.py [--rounds 7] [--out FILE.json]
"""

import argparse
import copy
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from optlab.build import parts_of
from optlab.config.schema import DiagnosticsConfig
from optlab.environment import environment
from optlab.loggers.table import MetricsTable
from optlab.loggers.tensorboard import TensorBoardLogger
from optlab.train.alone import backend_alone
from optlab.train.native import Native
from optlab.train.stack.loop import StackTraining
from optlab.train.training import EachRecord

#: Overrides, runs at once, and epochs.
NETWORKS = {
    "digits MLP": ((), 1, 120),
    "64 digits MLPs at once": ((), 64, 10),
    "SmallCNN": (("model=small_cnn",), 1, 15),
    "LSTM": (("task=sequential_digits", "model=lstm"), 1, 15),
}
#: As published by Cockpit's authors (RTX 2080 Ti): time over that of plain training. Its quantities
#: are others (per-example gradients, curvature); nothing of it was run here.
COCKPIT = {
    "MNIST MLP": {"economy": {"1": 4.3, "16": 1.27, "64": 1.06}},
    "CIFAR-10 3c3d": {
        "economy": {"1": 1.51, "16": 1.05, "256": 1.0},
        "business": {"1": 2.0, "16": 1.09, "256": 1.02},
        "full": {"1": 21.0, "16": 2.3, "256": 1.06},
    },
    "ResNet-50 without batch norm": {"economy": {"1": 3.7, "16": 1.23, "64": 1.06}},
}


class Nowhere:
    """A sink that forgets."""

    def log(self, *record):
        """Forget a record."""

    def log_block(self, *records):
        """Forget records."""


def preset(name):
    with initialize_config_module("optlab.configs", version_base="1.3"):
        composed = compose("train", overrides=[f"diagnostics={name}"])
    return DiagnosticsConfig(**OmegaConf.to_container(composed.diagnostics))


def settings():
    """Return what is compared, by name, "off" first."""
    every = {f"all, every {k}": DiagnosticsConfig(every=k, flow_every=k) for k in (1, 16, 64, 256)}
    return {name: preset(name) for name in ("off", "economy", "full")} | every


def parts_for(overrides, epochs):
    with initialize_config_module("optlab.configs", version_base="1.3"):
        line = [*overrides, f"trainer.epochs={epochs}"]
        config = OmegaConf.to_container(compose("train", overrides=line), resolve=False)
    config.pop("sweep", None)
    return parts_of(config)


def seconds(part, runs, wanted):
    """Return CPU time per update and run of one training, set-up left out."""
    part = replace(part, diagnostics=wanted)
    copies = [replace(part, module=copy.deepcopy(part.module)) for _ in range(runs)]
    if runs > 1:
        backend = Native(copies, threads=1)
        return (
            timed(lambda: StackTraining(copies, backend).fit(Nowhere())) / part.num_updates / runs
        )
    backend = backend_alone(copies[0])
    with tempfile.TemporaryDirectory() as folder:
        board = TensorBoardLogger(Path(folder), {}, "bench")
        loggers = [board, MetricsTable(Path(folder))]

        def emit(update, epoch, values):
            for logger in loggers:
                logger.log(update, epoch, values)

        def train():
            StackTraining(copies, backend).fit(
                EachRecord(emit), numbers=lambda _, *look: board.histograms(*look)
            )
            for logger in loggers:
                logger.close()

        return timed(train) / part.num_updates


def timed(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def measured(name, rounds):
    """Return a row for every setting of a network."""
    overrides, runs, epochs = NETWORKS[name]
    part, wanted = parts_for(overrides, epochs), settings()
    times = {key: [] for key in wanted}
    for _ in range(rounds + 1):  # the first compiles
        for key, each in wanted.items():
            times[key].append(seconds(part, runs, each))
    rows = []
    for key, own in times.items():
        ratios = [a / b for a, b in zip(own[1:], times["off"][1:], strict=True)]
        rows.append(
            {
                "network": name,
                "diagnostics": key,
                "us_per_update": statistics.median(own[1:]) * 1e6,
                "ratio": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
            }
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for name in options.networks for row in measured(name, options.rounds)]
    table = Table(title="training with diagnostics over training without, CPU, one thread")
    for key in rows[0]:
        table.add_column(key, justify="right")
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else v for v in row.values()))
    Console().print(table)
    if options.out:
        record = {
            "environment": environment("cpu"),
            "rounds": options.rounds,
            "rows": rows,
            "published_by_cockpit": COCKPIT,
        }
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
