"""Many runs at once against one after another, and against other ways of doing many at once.

Rates: updates per second on one core, each run with its own data order, rounds interleaved in one
process, the best of each counts. Peers: a loop of `torch.nn` and fused `torch.optim` on resident
data; `torch.func.vmap` of a gradient with an eager stacked update; HFTA's method (`baddbmm` over a
run axis, autograd, an eager update with a learning rate per run); optlab's own vmapped engine,
eager and compiled. Time to compile stands beside the rates and is no part of them.

End to end: the digits sweep of 6 optimizers x 6 activations x 2 initializers x 4 seeds of 20 epochs
from the shell to its last record, with an empty kernel cache and with a warm one; Hydra's basic
launcher on the same application, and one process per job, are timed on a part of the jobs.

With a device, by numbers of runs: updates per second of the small MLP through optlab's vmapped
engine, eager and compiled, against the loop of one run on that device, and the peak of memory.

    python scripts/bench_sweep.py [--rates] [--end-to-end] [--jobs 12] [--out FILE.json]
    python scripts/bench_sweep.py --device cuda [--counts 1 8 64 512 2048 8192] [--out FILE.json]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from optlab.bench import by_hand, configuration, fresh, rates, runs, stacked
from optlab.environment import environment
from optlab.train.native import Native
from optlab.train.stack.sequential import Sequential
from optlab.train.stack.vmapped import Vmapped

COUNTS = (1, 8, 64, 512)
COUNTS_ON_DEVICE = (1, 8, 64, 512, 2048, 8192)
NETWORKS = {
    "MLP 64-64-10": [],
    "MLP 64-256-256-10": ["model.hidden=[256,256]"],
    "SmallCNN": ["model=small_cnn"],
    "LSTM, H=64": ["model=lstm", "task=sequential_digits", "model.hidden=64"],
    "LSTM, H=16": ["model=lstm", "task=sequential_digits", "model.hidden=16"],
}
GRID = [
    "optimizer=minibatch_gd,momentum,nag,adagrad,rmsprop,adam",
    "activation=relu,tanh,sigmoid,elu,selu,leaky_relu",
    "init=xavier_uniform,he_normal",
    "seed=range(0,4)",
]


def vmap_of_gradient(parts):
    """Return updates by `torch.func.vmap(grad)` and an eager stacked Adam."""
    template = parts[0].module.train()
    names = [name for name, _ in template.named_parameters()]
    params = [torch.stack(ps) for ps in zip(*map(_detached, parts), strict=True)]
    objective, train = parts[0].objective, parts[0].data.train

    def loss(own, x, y):
        output = torch.func.functional_call(template, dict(zip(names, own, strict=True)), (x,))
        return objective.loss(output, y)

    gradient = torch.func.vmap(torch.func.grad(loss))
    return _with_adam(params, lambda x, y: gradient(params, x, y), train, parts)


def hfta(parts):
    """Return updates by `baddbmm` over the runs of an MLP, autograd, and an eager stacked Adam."""
    params = [torch.stack(ps).requires_grad_() for ps in zip(*map(_detached, parts), strict=True)]
    layers = list(zip(params[::2], params[1::2], strict=True))

    def gradient(x, y):
        for i, (weight, bias) in enumerate(layers):
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
            x = torch.relu(x) if i + 1 < len(layers) else x
        loss = nn.functional.cross_entropy(x.flatten(0, 1), y.flatten()) * len(parts)
        return torch.autograd.grad(loss, params)

    return _with_adam(params, gradient, parts[0].data.train, parts)


def _detached(parts):
    return [p.detach().clone() for p in parts.module.parameters()]


def _with_adam(params, gradient, train, parts):
    """Return an epoch of gathers, gradients and Adam with a learning rate per run."""
    lr = torch.full((len(parts),), 1e-3)
    means, squares = ([torch.zeros_like(p) for p in params] for _ in range(2))
    rows = [[b for b in each.sampler.epoch(0) if len(b) == 64] for each in parts]
    batches = [torch.stack(step) for step in zip(*rows, strict=True)]
    count = 0

    def epoch():
        nonlocal count
        for batch in batches:
            grads = gradient(train.x[batch], train.y[batch])
            count += 1
            with torch.no_grad():
                for p, g, m, v in zip(params, grads, means, squares, strict=True):
                    m.mul_(0.9).add_(g, alpha=0.1)
                    v.mul_(0.999).addcmul_(g, g, value=0.001)
                    scale = v.sqrt().div_((1 - 0.999**count) ** 0.5).add_(1e-8)
                    step = lr.view(-1, *[1] * (p.ndim - 1)) / (1 - 0.9**count)
                    p.sub_(m / scale * step)

    return epoch, len(batches) * len(parts)


def measure_rates(network, overrides, counts):
    """Return rows of rates of one network, by number of runs."""
    rows = []
    is_mlp = network.startswith("MLP")
    for count in counts:
        parts = runs(configuration(*overrides), count)
        contestants, setup = {}, {}
        if network == "MLP 64-64-10":
            contestants["sequential, fused"] = by_hand(parts[0])
        else:
            alone = fresh(parts[0])
            contestants["sequential, ours"] = stacked([alone], Sequential([alone.run()]))
        for name, make in engines(is_mlp, count).items():
            own = [fresh(each) for each in parts]
            started = time.perf_counter()
            contestants[name] = make(own)
            contestants[name][0]()
            setup[name] = time.perf_counter() - started
        found = rates(contestants)
        peer = next(iter(found.values()))
        rows += [
            {
                "network": network,
                "runs": count,
                "engine": name,
                "updates_per_s": rate,
                "over_sequential": rate / peer,
                "setup_s": setup.get(name, 0.0),
            }
            for name, rate in found.items()
        ]
    return rows


def engines(is_mlp, count):
    """Return what makes a contestant of parts, by name."""
    found = {"native": lambda own: stacked(own, Native(own, 1))}
    if is_mlp:
        found["vmap(grad), eager"] = vmap_of_gradient
        found["baddbmm, autograd"] = hfta
    if count <= 64:
        found["vmapped, eager"] = lambda own: stacked(own, Vmapped(own, is_compiled=False))
    if is_mlp and count in (1, 64):
        found["vmapped, compiled"] = lambda own: stacked(own, Vmapped(own, is_compiled=True))
    return found


def measure_device(device, counts):
    """Return rows of rates and memory of the small MLP on a device, by number of runs."""
    parts = runs(configuration(f"device={device}"), max(counts))
    rows = []
    for count in counts:
        contestants = {"sequential, fused": _waiting(by_hand(fresh(parts[0])), device)}
        setup, memory = {}, {}
        for name, is_compiled in (("vmapped, eager", False), ("vmapped, compiled", True)):
            started, before = time.perf_counter(), _restarted_peak(device)
            own = [fresh(each) for each in parts[:count]]
            contestants[name] = _waiting(stacked(own, Vmapped(own, is_compiled)), device)
            contestants[name][0]()
            setup[name] = time.perf_counter() - started
            memory[name] = _peak_since(before, device)
        found = rates(contestants)
        peer = found["sequential, fused"]
        rows += [
            {
                "runs": count,
                "engine": name,
                "updates_per_s": rate,
                "over_sequential": rate / peer,
                "setup_s": setup.get(name, 0.0),
                "bytes_per_run": None if memory.get(name) is None else memory[name] // count,
            }
            for name, rate in found.items()
        ]
    return rows


def _waiting(contestant, device):
    """Return a contestant whose call ends when the device has done what it was asked for."""
    call, updates = contestant
    if device == "cpu":
        return contestant

    def and_wait():
        call()
        torch.cuda.synchronize()

    return and_wait, updates


def _restarted_peak(device):
    """Return the bytes that are in use on the device, from where its peak is measured anew."""
    if device == "cpu":
        return 0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _peak_since(before, device):
    """Return the bytes in use at the peak beyond ``before``, or None: the CPU counts none."""
    return None if device == "cpu" else torch.cuda.max_memory_allocated() - before


def end_to_end(jobs):
    """Return seconds of the 288-run sweep and of its peers, the latter from fewer jobs."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = {"XDG_CACHE_HOME": str(Path(folder, "cache"))}
        found["optlab sweep, nothing compiled yet"] = timed(folder, ["sweep", *GRID], cache)
        found["optlab sweep"] = timed(folder, ["sweep", *GRID], cache)
        found["optlab sweep, two workers"] = timed(
            folder, ["sweep", *GRID, "sweep.workers=2"], cache
        )
        few, more = ([*GRID[:1], *GRID[2:3], f"seed=range(0,{n})"] for n in (1, jobs // 12 + 1))
        basic = ["train", "-m", "hydra/sweeper=basic", "hydra/launcher=basic"]
        short, long = (timed(folder, [*basic, *grid], cache) for grid in (few, more))
        per_job = (long - short) / (jobs // 12 * 12)
        found["Hydra's basic launcher"] = short + per_job * (288 - 12)
        single = timed(folder, ["train", "optimizer=adam", "activation=relu"], cache)
        found["one process per job"] = single * 288
    ours = found["optlab sweep, nothing compiled yet"]
    return [
        {"what": name, "seconds": seconds, "over_optlab": seconds / ours}
        for name, seconds in found.items()
    ]


def timed(folder, words, extra):
    """Return the seconds of a command in a fresh folder."""
    where = Path(folder, "work")
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir()
    command = [sys.executable, "-m", "optlab", *words]
    started = time.perf_counter()
    subprocess.run(
        command, cwd=where, env={**os.environ, **extra}, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def show(title, rows):
    table = Table(title=title)
    for key in rows[0]:
        table.add_column(key, justify="left" if isinstance(rows[0][key], str) else "right")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    Console().print(table)


def _cell(value):
    if value is None:
        return "-"
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rates", action="store_true", help="only the rates")
    parser.add_argument("--end-to-end", action="store_true", help="only the whole sweeps")
    parser.add_argument("--jobs", type=int, default=24, help="jobs of Hydra's launcher to time")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="only what runs on a device")
    parser.add_argument("--counts", type=int, nargs="+", help="numbers of runs")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    record = {"environment": environment(options.device or "cpu")}
    if options.device:
        counts = options.counts or COUNTS_ON_DEVICE
        record["scaling"] = measure_device(options.device, counts)
        show(f"MLP 64-64-10 on {options.device}", record["scaling"])
    if not (options.device or options.end_to_end):
        record["rates"] = []
        for network, overrides in NETWORKS.items():
            counts = (options.counts or COUNTS) if network == "MLP 64-64-10" else (1, 16)
            record["rates"] += measure_rates(network, overrides, counts)
        show("one core", record["rates"])
    if not (options.device or options.rates):
        record["end_to_end"] = end_to_end(options.jobs)
        show("288 runs of 20 epochs, from the shell", record["end_to_end"])
    if options.out:
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
