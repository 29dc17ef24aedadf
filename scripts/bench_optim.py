"""Every optimizer against torch's own at each of its settings: single, foreach, fused, compiled.

Two things are timed: `step` alone, and zero_grad, forward, backward and step of a network. Rounds
are interleaved in one process; times are medians over rounds, ratios are those of torch's quickest
setting to ours. Bytes are those that a step has to move (gradient read, parameter and state read
and written), and the rate of a plain copy of the same size is measured beside it.

    python scripts/bench_optim.py [--optimizers adam,nag] [--models one,many] [--compile] [--out F]

torch's step under torch.compile is left out without --compile, and for more than 20 tensors never
tried: it takes from seconds to many minutes to compile. First steps, which compile what there is to
compile, are stated apart (`first_step_s`).
"""

import argparse
import gc
import inspect
import itertools
import json
import math
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import optlab.optim  # noqa: F401 - fills the registry
from optlab.environment import environment
from optlab.registry import optimizers

#: Networks whose parameters are updated.
MODELS: dict[str, Callable[[], nn.Module]] = {
    "4 tensors, 5k": lambda: chain([64, 64, 10]),
    "20 tensors, 165k": lambda: chain([128] * 11),
    "50 tensors, 5M": lambda: chain([447] * 26),
    "1000 tensors, 5M": lambda: chain([99] * 501),
    "1 tensor, 5M": lambda: nn.Linear(2236, 2236, bias=False),
}
LARGE: dict[str, Callable[[], nn.Module]] = {
    "1 tensor, 100M": lambda: nn.Linear(10_000, 10_000, bias=False),
    "100 tensors, 100M": lambda: chain([1000] * 101),
    "1 tensor, 1B": lambda: nn.Linear(31_623, 31_623, bias=False),
}
MANY = 20  # tensors above which torch's compiled step is not tried
BATCH = 16


def chain(widths: list[int]) -> nn.Module:
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def torch_settings(make: Any, device: str) -> dict[str, dict[str, Any]]:
    """Return the settings of torch's class of the same method, at our defaults."""
    known = inspect.signature(make.torch_class).parameters
    ours = make([torch.nn.Parameter(torch.ones(1))], **make.torch_form).defaults
    shared = {name: value for name, value in ours.items() if name in known and name != "capturable"}
    shared |= {n: v for n, v in (make.rule.torch_group or {}).items() if n in known}
    settings = {"single": {"foreach": False}, "foreach": {"foreach": True}}
    if "fused" in known:
        settings["fused"] = {"fused": True}
    return {
        name: shared | {n: v for n, v in chosen.items() if n in known}
        for name, chosen in settings.items()
        if name == "single" or name in known
    }


class Timed:
    """One optimizer on one copy of a network, and its times."""

    def __init__(self, build: Callable[[], nn.Module], make: Any, device: str, compiled: bool):
        torch.manual_seed(0)
        self.model = build().to(device)
        first = next(self.model.parameters())
        self.x = torch.randn(BATCH, first.shape[1], device=device)
        self.optimizer = make(list(self.model.parameters()))
        self.step = torch.compile(self.optimizer.step) if compiled else self.optimizer.step
        self.backward()
        start = time.perf_counter()
        self.step()
        wait(device)
        self.first_s = time.perf_counter() - start
        self.seconds: dict[str, list[float]] = {"step": [], "train": []}

    def backward(self) -> None:
        self.optimizer.zero_grad()
        self.model(self.x).square().mean().backward()

    def let_go(self, keep: bool) -> None:
        """Free the memory, but for what is looked at afterwards."""
        if not keep:
            del self.model, self.optimizer, self.step, self.x

    def train(self) -> None:
        self.backward()
        self.step()


def wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def clock(function: Callable[[], Any], repeats: int, device: str) -> float:
    """Return seconds per call."""
    wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    wait(device)
    return (time.perf_counter() - start) / repeats


def measure(variants: dict[str, Timed], rounds: int, device: str, budget_s: float) -> None:
    """Time all variants in turn, `rounds` times; short steps are repeated within a round."""
    for kind in ("step", "train"):
        calls = {n: (v.step if kind == "step" else v.train) for n, v in variants.items()}
        longest = max(clock(call, 2, device) for call in calls.values())
        repeats = max(1, min(200, int(budget_s / rounds / len(calls) / longest)))
        for _ in range(rounds):
            for name, call in calls.items():
                variants[name].seconds[kind].append(clock(call, repeats, device))


def bytes_per_step(optimizer: torch.optim.Optimizer) -> int:
    total = 0
    for group in optimizer.param_groups:
        for param in group["params"]:
            entries = [
                v for v in optimizer.state.get(param, {}).values() if v.ndim or v.numel() > 1
            ]
            moved = [t for t in entries if t.shape == param.shape]
            total += param.nbytes * 3 + 2 * sum(t.nbytes for t in moved)
    return total


def copy_rate(like: int, device: str) -> float:
    """Return bytes per second, read and written, of a copy of ``like`` bytes in all."""
    source: Tensor = torch.zeros(max(like // 8, 1), device=device)
    target = torch.empty_like(source)
    times = [clock(lambda: target.copy_(source), 5, device) for _ in range(9)]
    return 2 * source.nbytes / min(times)


def compare(name: str, model: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of one optimizer on one network: step alone, and whole updates.

    Everything is made anew `builds` times, in another order: where memory comes to lie moves times
    by a tenth and more, and would otherwise favour one side for a whole measurement.
    """
    make, build = optimizers.get(name), {**MODELS, **LARGE}[model]
    fast = None if args.device == "cpu" else make.rule.elementwise  # to be asked for on CUDA
    makers: dict[str, Callable[..., Any]] = {
        "optlab": lambda p: make(p, fast=fast, **make.torch_form)
    }
    for setting, options in torch_settings(make, args.device).items():
        makers[setting] = lambda p, o=options: make.torch_class(p, **o)
    if args.compile and sum(1 for _ in build().parameters()) <= MANY:
        makers["compiled"] = makers["single"]
    pooled: dict[str, Timed] = {}
    for number in range(args.builds):
        torch._dynamo.reset()
        order = random.Random(number).sample(list(makers), len(makers))
        variants = {n: Timed(build, makers[n], args.device, n == "compiled") for n in order}
        measure(variants, args.rounds, args.device, args.budget / args.builds)
        for key, variant in variants.items():
            variant.let_go(keep=key == "optlab" and number == args.builds - 1)
            if key in pooled:
                variant.first_s = pooled[key].first_s
                for kind, times in pooled[key].seconds.items():
                    variant.seconds[kind] = times + variant.seconds[kind]
            pooled[key] = variant
    rows = [row(name, model, kind, pooled, args.device) for kind in ("step", "train")]
    pooled.clear()
    gc.collect()
    return rows


def row(
    name: str, model: str, kind: str, variants: dict[str, Timed], device: str
) -> dict[str, Any]:
    medians = {n: statistics.median(v.seconds[kind]) for n, v in variants.items()}
    peers = {n: t for n, t in medians.items() if n != "optlab"}
    best = min(peers, key=peers.__getitem__)
    ours = variants["optlab"]
    paired = [b / a for a, b in zip(ours.seconds[kind], variants[best].seconds[kind], strict=True)]
    moved = bytes_per_step(ours.optimizer)
    result = {
        "optimizer": name,
        "model": model,
        "timed": kind,
        "us": {n: round(1e6 * t, 2) for n, t in medians.items()},
        "best_of_torch": best,
        "ratio": round(statistics.median(paired), 3),
        "ratio_range": [round(min(paired), 2), round(max(paired), 2)],
        "path": ours.optimizer.eager_reasons[0] or "compiled",
        "first_step_s": {n: round(v.first_s, 3) for n, v in variants.items()},
    }
    if kind == "step":
        result["GB_per_s"] = round(moved / medians["optlab"] / 1e9, 2)
        result["copy_GB_per_s"] = round(copy_rate(moved, device) / 1e9, 2)
    return result


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the figures to reach are about."""
    ratios = [r["ratio"] for r in rows]
    many = [r["ratio"] for r in rows if r["model"].startswith("1000") and r["timed"] == "step"]
    behind = [r for r in rows if r["ratio"] < 0.97]
    return {
        "cells": len(rows),
        "geometric_mean": round(math.exp(statistics.mean(map(math.log, ratios))), 3),
        "geometric_mean_1000_tensors_step": round(math.exp(statistics.mean(map(math.log, many))), 3)
        if many
        else None,
        "lowest": min(ratios),
        "below_0.97": [
            f"{r['optimizer']}, {r['model']}, {r['timed']}: {r['ratio']}" for r in behind
        ],
    }


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="torch's quickest setting / optlab (above 1: optlab is quicker)")
    for column in ("optimizer", "model", "timed", "optlab us", "torch us", "setting", "ratio"):
        table.add_column(column, justify="left" if column in ("optimizer", "model") else "right")
    for r in rows:
        best = r["us"][r["best_of_torch"]]
        cells = [r["optimizer"], r["model"], r["timed"], f"{r['us']['optlab']:.1f}", f"{best:.1f}"]
        mark = "" if r["ratio"] >= 0.97 else " <"
        table.add_row(*cells, r["best_of_torch"], f"{r['ratio']:.2f}{mark}")
    Console().print(table)


def main() -> None:
    with_peer = [
        n for n, m in optimizers.items() if m.torch_class and n not in ("batch_gd", "minibatch_gd")
    ]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--optimizers", default=",".join(with_peer))
    parser.add_argument("--models", default="", help="parts of names, such as 1000,20; default all")
    parser.add_argument("--builds", type=int, default=3, help="times that all is made anew")
    parser.add_argument("--rounds", type=int, default=5, help="per build")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds per cell")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    names = MODELS if args.device == "cpu" else {**MODELS, **LARGE}
    wanted = [m for m in names if any(part in m for part in args.models.split(","))]
    rows = []
    for name in args.optimizers.split(","):
        for model in wanted:
            rows += compare(name, model, args)
            print(f"{name}, {model}: {[r['ratio'] for r in rows[-2:]]}", flush=True)
    show(rows)
    result = {
        "benchmark": "bench_optim",
        "threads": args.threads,
        "load_average": round(os.getloadavg()[0], 2),
        "summary": summary(rows),
        "environment": environment(args.device),
        "rows": rows,
    }
    print(json.dumps(result["summary"], indent=2))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
