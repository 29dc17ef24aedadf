"""A sweep of 10,000 tiny runs from one command, and everything one does with it afterwards.

Five optimizers, learning rates from a Halton sequence, ten seeds, one epoch of XOR: next to nothing
is trained, so what shows is what a run costs by being one. Each command runs in a fresh process;
its phases are timed by wrapping the functions that do them, and nothing else is changed. Memory is
the largest resident set of the process, without those of further workers; the first line, a sweep
of two runs, is what Python, PyTorch and the libraries take before any run is there.

    python scripts/bench_load.py [--runs 10000] [--workers 1] [--out FILE.json]
"""

import argparse
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.table import Table

from optlab.environment import environment

OPTIMIZERS = ("momentum", "adam", "rmsprop", "nag", "sgd")
SEEDS = 10
BYTES_OF_MIB = 2**20

#: What a phase is called, by the function that does it; those of one command are no sum, as some
#: stand inside others.
PHASES = {
    "list the jobs": "optlab.sweep.plugin:job_words",
    "compose": "optlab.sweep.plugin:compose",
    "validate": "optlab.sweep.validate:refuse_invalid",
    "plan": "optlab.sweep.execute:plan",
    "enter into the ledger": "optlab.sweep.ledger:Ledger.enter",
    "train, all of it": "optlab.sweep.execute:_train",
    "train: write config.yaml": "optlab.sweep.array:put_configs",
    "train: write result.json": "optlab.sweep.array:Array.write_results",
    "train: curves": "optlab.loggers.sweep_records:SweepRecords.flush",
    "train: record in the ledger": "optlab.sweep.ledger:Ledger.end",
    "check the folders": "optlab.sweep.restore:restore_folders",
    "read the runs": "optlab.report.report:survey",
    "rank": "optlab.report.report:rank",
    "curves of the report": "optlab.report.report:best_curves",
    "picture": "optlab.report.pictures.overview:write_figure",
    "summary": "optlab.sweep.summary:summarize",
}


def timed_main(out, words):
    """Run optlab's command line in this process and write how long its phases took."""
    seconds = {}
    for phase, place in _phases_of(words).items():
        module, _, name = place.partition(":")
        owner = importlib.import_module(module)
        *parents, last = name.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, last, _timed(phase, getattr(owner, last), seconds))
    from optlab.cli import main

    code = main(words)
    Path(out).write_text(json.dumps(seconds))
    return code


def _phases_of(words):
    """Return the phases of a command; to wrap others would import PyTorch, which it does not."""
    if words[0] == "report":
        return {phase: place for phase, place in PHASES.items() if ".report." in place}
    if {"--resume", "--status"} & set(words):
        return {phase: place for phase, place in PHASES.items() if ".restore:" in place}
    return PHASES


def _timed(phase, function, seconds):
    def call(*arguments, **options):
        started = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - started

    return call


def command(what, where, words):
    """Return a row about one command in a fresh process: seconds, memory, phases."""
    out, log = where / "phases.json", where / "log.txt"
    line = [sys.executable, __file__, "--inside", str(out), *words]
    started = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(line, stdout=stream, stderr=stream)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{what}: exit code {process.returncode}\n{log.read_text()[-3000:]}")
    memory = usage.ru_maxrss * 1024 / BYTES_OF_MIB
    return {"what": what, "seconds": seconds, "MiB": memory, "phases": json.loads(out.read_text())}


def board(folder, num_runs):
    """Return a row about TensorBoard: seconds until its server knows every run that it is given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["board", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "optlab", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while len(_runs(port)) < num_runs:
            if time.perf_counter() - started > 300:
                raise SystemExit(f"TensorBoard knows {len(_runs(port))} of {num_runs} runs")
            time.sleep(0.2)
        seconds = time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()
    return {"what": "optlab board: all listed", "seconds": seconds, "MiB": None, "phases": {}}


def _runs(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs") as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError):
        return []


def files_in(folder):
    """Return what the sweep's folder holds."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "files": len(files),
        "MiB": sum(path.stat().st_size for path in files) / BYTES_OF_MIB,
        "event_files": sum("tfevents" in path.name for path in files),
        "parts_of_the_table": sum(path.suffix == ".parquet" for path in files),
    }


def measure(num_runs, workers, where):
    """Return rows about every command, and what the folder holds."""
    trials = max(1, num_runs // (len(OPTIMIZERS) * SEEDS))
    common = ["task=xor", "trainer.epochs=1", f"sweep.workers={workers}"]
    folder = where / "sweep"
    grid = [
        f"optimizer={','.join(OPTIMIZERS)}",
        "optimizer.lr=tag(log,interval(1e-4,1e-1))",
        *("search=halton", f"trials={trials}", f"seed=range(0,{SEEDS})"),
    ]
    few = ["optimizer=adam", "seed=0,1", f"sweep.dir={where / 'few'}"]
    rows = [
        command("optlab sweep of 2 runs", where, ["sweep", *few, *common]),
        command("optlab sweep", where, ["sweep", *grid, f"sweep.dir={folder}", *common]),
        command("optlab sweep --status", where, ["sweep", "--status", str(folder)]),
        command("optlab sweep --resume, all done", where, ["sweep", "--resume", str(folder)]),
        command("optlab report", where, ["report", str(folder)]),
    ]
    content = files_in(folder)
    rows.append(board(folder, content["event_files"]))
    return rows, content


def show(rows, content):
    table = Table("", "s", "MiB", title="fresh processes")
    for row in rows:
        table.add_row(row["what"], f"{row['seconds']:.1f}", _memory(row["MiB"]))
        for phase, seconds in row["phases"].items():
            if seconds >= 0.05:
                table.add_row(f"  {phase}", f"{seconds:.2f}", "")
    Console().print(table, content)


def _memory(mebibytes):
    return "" if mebibytes is None else f"{mebibytes:,.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1, help="processes that train")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as where:
        rows, content = measure(options.runs, options.workers, Path(where))
    show(rows, content)
    if options.out:
        record = {"environment": environment("cpu"), "runs": options.runs}
        record |= {"workers": options.workers, "commands": rows, "folder": content}
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        raise SystemExit(timed_main(sys.argv[2], sys.argv[3:]))
    main()
