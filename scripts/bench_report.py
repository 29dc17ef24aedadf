"""What a report of 1,000 runs takes: seconds by part, bytes of what it leaves.

The runs are written as a sweep would have left them, with curves of eight values at 200 updates
each, and nothing is trained: five optimizers at ten rates with two activations and ten seeds, of
which those at the largest rate diverge. `optlab report`, and what a sweep makes at its end (page
and picture, no folder of figures), run in fresh processes; their parts are timed by wrapping the
functions that do them.

    python scripts/bench_report.py [--runs 1000] [--out FILE.json]
"""

import argparse
import copy
import importlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from optlab.config.schema import LoggerConfig
from optlab.environment import environment
from optlab.identity import config_hash
from optlab.loggers.sweep_events import LoggedRun
from optlab.loggers.sweep_records import SweepRecords
from optlab.report.report import FOLDER, PAGE_FILE
from optlab.results import CONFIG_FILE, RunResult, write_atomic, write_result

OPTIMIZERS = ("sgd", "momentum", "nag", "rmsprop", "adam")
RATES = np.geomspace(1e-4, 3.0, 10).tolist()
ACTIVATIONS = ("relu", "tanh")
NUM_CELLS = len(OPTIMIZERS) * len(RATES) * len(ACTIVATIONS)
NORMS = ("gradient_norm/hidden.weight", "weight_norm/hidden.weight", "update_ratio/hidden.weight")
POINTS, EPOCHS, UPDATES_PER_EPOCH = 200, 100, 20
BYTES_OF_MIB = 2**20

#: What a part is called, by the function that does it; some stand inside others.
PARTS = {
    "read the runs": "optlab.report.report:survey",
    "rank": "optlab.report.report:rank",
    "what is unfair": "optlab.report.report:objections",
    "sections": "optlab.report.report:_sections",
    "page": "optlab.report.report:write_page",
    "tables": "optlab.report.report:write_tables",
    "figures": "optlab.report.pictures:write_pictures",
    "curves as a table": "optlab.report.report:write_curve_table",
    "picture": "optlab.report.pictures.overview:write_figure",
}


def timed_report(out, folder, is_whole):
    """Write a report in this process, and how long its parts took."""
    started, seconds = time.perf_counter(), {}
    from optlab.reporting import asked, write_report

    for part, place in PARTS.items():
        module, _, name = place.partition(":")
        owner = importlib.import_module(module)
        setattr(owner, name, _timed(part, getattr(owner, name), seconds))
    seconds["imports"] = time.perf_counter() - started
    write_report(asked([folder]), None, is_whole)
    Path(out).write_text(json.dumps(seconds))


def _timed(part, function, seconds):
    def call(*arguments, **options):
        started = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - started

    return call


def write_runs(folder, num_runs):
    """Write the folders of some runs, and one table with the curves of all."""
    seeds = range(max(1, num_runs // NUM_CELLS))
    choices = list(itertools.product(OPTIMIZERS, RATES, ACTIVATIONS, seeds))
    names = [
        f"optimizer={optimizer},lr={lr:.3g},activation={activation},seed={seed}"
        for optimizer, lr, activation, seed in choices
    ]
    runs = [LoggedRun(folder / name, {}, "bench") for name in names]
    records = SweepRecords(runs, LoggerConfig(tensorboard=False))
    generator, configs = np.random.default_rng(0), base_configs()
    updates = np.linspace(0, EPOCHS * UPDATES_PER_EPOCH, POINTS).astype(int)
    for number, choice in enumerate(choices):
        curves = curves_of(*choice, generator)
        write_run(runs[number].folder, configs, choice, curves)
        values = np.stack(list(curves.values()), axis=1)[None]  # runs, updates, tags
        records.log_block([number], updates, updates / UPDATES_PER_EPOCH, list(curves), values)
    records.close()
    return len(choices)


def base_configs():
    """Return the resolved configuration of a run by each optimizer."""
    found = {}
    with initialize_config_module("optlab.configs", version_base="1.3"):
        for name in OPTIMIZERS:
            composed = compose("train", overrides=[f"optimizer={name}", "task=digits"])
            found[name] = OmegaConf.to_container(composed, resolve=False)
            found[name].pop("sweep", None)
    return found


def curves_of(optimizer, lr, activation, seed, generator):
    """Return eight values at `POINTS` updates by tag, better towards a rate in the middle."""
    rate = 0.05 * np.exp(-(np.log10(lr / 0.05) ** 2)) * (1 + 0.1 * OPTIMIZERS.index(optimizer))
    floor = 0.2 + 0.05 * ACTIVATIONS.index(activation) + 0.02 * generator.standard_normal()
    loss = floor + 2.1 * np.exp(-rate * np.arange(POINTS))
    noise = 0.02 * generator.standard_normal((5, POINTS))
    curves = {"loss/train": loss + noise[0], "loss/val": loss + noise[1]}
    curves |= {"accuracy/train": np.exp(-loss) + noise[2], "accuracy/val": np.exp(-loss) + noise[3]}
    curves |= {tag: loss * (1 + noise[4]) for tag in NORMS} | {"lr": np.full(POINTS, lr)}
    if lr == RATES[-1]:
        curves["loss/train"][-1] = np.nan
    return curves


def write_run(folder, configs, choice, curves):
    """Write configuration and result of a run."""
    optimizer, lr, activation, seed = choice
    config = copy.deepcopy(configs[optimizer]) | {"seed": seed}
    config["optimizer"]["lr"], config["activation"]["name"] = lr, activation
    last = {tag: float(values[-1]) for tag, values in curves.items()}
    scores = {name: last[f"{name}/val"] for name in ("loss", "accuracy")}
    is_lost = lr == RATES[-1]
    result = RunResult(
        name=folder.name,
        status="diverged" if is_lost else "done",
        cause="loss became nan at update 2000" if is_lost else None,
        updates=EPOCHS * UPDATES_PER_EPOCH,
        epochs=float(EPOCHS),
        best_epoch=float(EPOCHS),
        train=scores,
        val=scores,
        test=scores,
        total_s=1.0,
        training_s=0.5,
        config_hash=config_hash(config),
        seed=seed,
        device="none: nothing was trained",
        started="2026-01-01T00:00:00+00:00",
    )
    write_atomic(folder / CONFIG_FILE, yaml.safe_dump(config).encode())
    write_result(folder, result)


def measured(what, folder, is_whole):
    """Return a row about a report made in a fresh process: seconds, memory, bytes, parts.

    The memory is never less than what this process has when it starts the other.
    """
    out = folder.parent / "parts.json"
    line = [sys.executable, __file__, "--inside", str(out), str(folder), *["whole"] * is_whole]
    started = time.perf_counter()
    process = subprocess.Popen(line)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{what}: exit code {process.returncode}")
    return {
        "what": what,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "MiB": usage.ru_maxrss * 1024 / BYTES_OF_MIB,
        "page_bytes": (folder / PAGE_FILE).stat().st_size,
        "folder_bytes": sum(path.stat().st_size for path in (folder / FOLDER).glob("*")),
        "parts": json.loads(out.read_text()),
    }


def show(rows):
    table = Table("", *(row["what"] for row in rows), title="fresh processes, seconds")
    for key in ("seconds", "cpu_seconds"):
        table.add_row(key, *(f"{row[key]:.1f}" for row in rows))
    for part in dict.fromkeys(part for row in rows for part in row["parts"]):
        table.add_row(f"  {part}", *(f"{row['parts'].get(part, 0.0):.2f}" for row in rows))
    for key in ("MiB", "page_bytes", "folder_bytes"):
        table.add_row(key, *(f"{row[key]:,.0f}" for row in rows))
    Console().print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where) / "runs"
        num_runs = write_runs(folder, options.runs)
        rows = [
            measured("at a sweep's end", folder, is_whole=False),
            measured("optlab report", folder, is_whole=True),
        ]
    show(rows)
    if options.out:
        record = {"environment": environment("cpu"), "runs": num_runs, "values": 8}
        record |= {"points": POINTS, "reports": rows}
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        raise SystemExit(timed_report(sys.argv[2], sys.argv[3], sys.argv[4:] == ["whole"]))
    main()
