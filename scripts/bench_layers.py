"""Every hand-written layer against torch's own: forward and backward, in training and evaluation.

Both sides get the same weights and the same input, of the same type. Rounds are interleaved in one
process; times are medians over rounds, a ratio is the peer's time over ours (above 1: optlab is
quicker). Gradients of the input are taken for all but the first layer of an image network.

    python scripts/bench_layers.py [--only lstm,norm] [--device cuda] [--out FILE.json]

On CUDA the same precision is asked of both sides: TF32 is off.
"""

import argparse
import copy
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import optlab.nn as ours
from optlab.environment import environment

Call = Callable[[], Any]


@dataclass
class Case:
    """One comparison: what is timed on our side, and on each peer's.

    Attributes:
        part: Layer that it is about.
        name: Shape and kind.
        ours: A call to time.
        peers: Calls to time by name; the first is the one that the figures to reach are about.
        seconds: Times per call of every side, by name.
        first_s: Time of each side's first call of the last build.
    """

    part: str
    name: str
    ours: Call
    peers: dict[str, Call]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    first_s: dict[str, float] = field(default_factory=dict)


def training(module: Any, x: Tensor, input_gradient: bool = True) -> Call:
    """Return a call that takes the gradients of a module's sum of outputs."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_(input_gradient)
    leaves = [*module.parameters(), *([x] if input_gradient else [])]
    with torch.no_grad():
        upstream = torch.ones_like(first(module(x)))

    def call() -> None:
        for leaf in leaves:
            leaf.grad = None
        first(module(x)).backward(upstream)

    return call


def evaluation(module: Any, x: Tensor) -> Call:
    """Return a call of the module in evaluation mode, without gradients."""
    module.eval()

    def call() -> None:
        with torch.no_grad():
            module(x)

    return call


def first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def pair(part: str, name: str, mine: nn.Module, peer: nn.Module, x: Tensor, **how: Any) -> Case:
    """Return the case of two modules with the same weights, in training."""
    mine.load_state_dict(peer.state_dict(), strict=False)
    mine, peer = mine.to(x.device), peer.to(x.device)
    return Case(part, name, training(mine, x, **how), {"torch": training(peer, x, **how)})


class NaiveLSTM(nn.Module):
    """Two affine maps a step, differentiated by autograd."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.of_input, self.of_state = (
            nn.Linear(features, 4 * hidden),
            nn.Linear(hidden, 4 * hidden),
        )

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[1], self.of_state.in_features)
        outputs = []
        for step in x:
            i, f, g, o = (self.of_input(step) + self.of_state(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs)


LSTM_SHAPES = ((28, 64, 28, 128), (100, 64, 2, 128), (64, 128, 256, 512), (28, 32, 8, 16))


def lstm_cases(device: str) -> Iterator[Case]:
    for t, b, i, h in LSTM_SHAPES:
        x = torch.randn(t, b, i, device=device)
        case = pair("LSTM", f"T={t} B={b} I={i} H={h}", ours.LSTM(i, h), nn.LSTM(i, h), x)
        case.peers["naive cell"] = training(NaiveLSTM(i, h).to(device), x)
        yield case
    mine, peer = ours.LSTM(28, 128).to(device), nn.LSTM(28, 128).to(device)
    x = torch.randn(28, 64, 28, device=device)
    yield Case(
        "LSTM", "T=28 B=64 I=28 H=128, eval", evaluation(mine, x), {"torch": evaluation(peer, x)}
    )


def stack_cases(device: str) -> Iterator[Case]:
    """R layers, each with its own weights and input, in one call; torch has only one at a time."""
    for runs, hidden in ((32, 16), (32, 64)):
        mine = [ours.LSTM(16, hidden).to(device) for _ in range(runs)]
        peers = [nn.LSTM(16, hidden).to(device) for _ in range(runs)]
        x = torch.randn(runs, 28, 32, 16, device=device)
        params, _ = torch.func.stack_module_state(mine)

        def total(p: Any, rows: Tensor, layer: Any = mine[0]) -> Tensor:
            return first(torch.func.functional_call(layer, p, (rows,))).sum()

        stacked = torch.vmap(torch.func.grad(total))
        calls = [training(peer, rows, False) for peer, rows in zip(peers, x, strict=True)]

        def one_by_one(calls: list[Call] = calls) -> None:
            for call in calls:
                call()

        name = f"{runs} LSTMs, T=28 B=32 I=16 H={hidden}"
        yield Case("stack", name, lambda s=stacked, p=params, x=x: s(p, x), {"torch": one_by_one})


def rnn_cases(device: str) -> Iterator[Case]:
    for t, b, i, h in LSTM_SHAPES[:2]:
        x = torch.randn(t, b, i, device=device)
        yield pair("RNN", f"T={t} B={b} I={i} H={h}", ours.RNN(i, h), nn.RNN(i, h), x)


def norm_cases(device: str) -> Iterator[Case]:
    for shape in ((64, 128), (512, 1024)):
        x = torch.randn(shape, device=device)
        f = shape[1]
        yield pair("BatchNorm", f"{shape}", ours.BatchNorm1d(f), nn.BatchNorm1d(f), x)
    for shape in ((64, 32, 14, 14), (64, 64, 28, 28)):
        x, c = torch.randn(shape, device=device), shape[1]
        yield pair("BatchNorm", f"{shape} NCHW", ours.BatchNorm2d(c), nn.BatchNorm2d(c), x)
    x = x.contiguous(memory_format=torch.channels_last)
    name = f"{shape} channels-last"
    yield pair("BatchNorm", name, ours.BatchNorm2d(c), nn.BatchNorm2d(c), x)
    mine, peer = ours.BatchNorm2d(c).to(device), nn.BatchNorm2d(c).to(device)
    yield Case("BatchNorm", f"{name}, eval", evaluation(mine, x), {"torch": evaluation(peer, x)})
    for shape in ((64, 128), (32, 128, 256)):
        x, f = torch.randn(shape, device=device), shape[-1]
        yield pair("LayerNorm", f"{shape}", ours.LayerNorm(f), nn.LayerNorm(f), x)


def dropout_cases(device: str) -> Iterator[Case]:
    for shape in ((32, 64), (128, 1024)):
        x = torch.randn(shape, device=device)
        yield pair("Dropout", f"{shape}", ours.Dropout(0.5), nn.Dropout(0.5), x)


#: Batch, channels in and out, side, kernel, stride: the layers of the networks here.
CONVOLUTIONS = (
    (32, 1, 16, 8, 3, 1),
    (32, 16, 32, 4, 3, 1),
    (64, 1, 16, 28, 3, 1),
    (64, 16, 32, 14, 3, 1),
    (64, 3, 16, 32, 3, 1),
    (64, 16, 16, 32, 3, 1),
    (64, 16, 32, 32, 3, 2),
    (64, 32, 32, 16, 3, 1),
    (64, 32, 64, 16, 3, 2),
    (64, 64, 64, 8, 3, 1),
    (64, 16, 32, 32, 1, 2),
)


def convolution_cases(device: str) -> Iterator[Case]:
    for b, c_in, c_out, side, k, stride in CONVOLUTIONS:
        x = torch.randn(b, c_in, side, side, device=device)
        options = {"stride": stride, "padding": k // 2}
        mine, peer = (m.Conv2d(c_in, c_out, k, **options) for m in (ours, nn))
        name = f"B={b} {c_in}->{c_out} {side}x{side} {k}x{k}/{stride}"
        inner = c_in > 3  # the first layer's input has no gradient
        case = pair("Conv2d", name, mine, peer, x, input_gradient=inner)
        rows = x.contiguous(memory_format=torch.channels_last)
        last = copy.deepcopy(peer).to(memory_format=torch.channels_last)
        case.peers["torch, channels-last"] = training(last, rows, inner)
        yield case


def pooling_cases(device: str) -> Iterator[Case]:
    x = torch.randn(64, 16, 28, 28, device=device)
    yield pair("MaxPool2d", "(64, 16, 28, 28)", ours.MaxPool2d(2), nn.MaxPool2d(2), x)
    yield pair("AvgPool2d", "(64, 16, 28, 28)", ours.AvgPool2d(2), nn.AvgPool2d(2), x)


PARTS: dict[str, Callable[[str], Iterator[Case]]] = {
    "lstm": lstm_cases,
    "stack": stack_cases,
    "rnn": rnn_cases,
    "norm": norm_cases,
    "dropout": dropout_cases,
    "conv": convolution_cases,
    "pool": pooling_cases,
}


def wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def clock(call: Call, repeats: int, device: str) -> float:
    """Return seconds per call."""
    wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    wait(device)
    return (time.perf_counter() - start) / repeats


def measure(case: Case, rounds: int, device: str, budget_s: float) -> None:
    """Time all sides in turn; short calls are repeated within a round."""
    calls = {"optlab": case.ours, **case.peers}
    for name, call in calls.items():
        case.seconds.setdefault(name, [])
        case.first_s[name] = clock(call, 1, device)
    longest = max(clock(call, 2, device) for call in calls.values())
    repeats = max(1, min(200, int(budget_s / rounds / len(calls) / longest)))
    for _ in range(rounds):
        for name, call in calls.items():
            case.seconds[name].append(clock(call, repeats, device))


def measure_all(parts: list[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for every case.

    Everything is made anew `builds` times, after something of another size: where memory comes to
    lie moves times by a tenth and more, and would favour one side for a whole measurement.
    """
    pooled: dict[tuple[str, str], Case] = {}
    between = []
    for build in range(args.builds):
        between.append(torch.ones(1_000_003 * (build + 1), device=args.device))
        for part in parts:
            for case in PARTS[part](args.device):
                before = pooled.get((case.part, case.name))
                if before is not None:
                    case.seconds, case.first_s = before.seconds, before.first_s
                measure(case, args.rounds, args.device, args.budget / args.builds)
                pooled[case.part, case.name] = case
                print(f"{case.part}, {case.name}: {ratios_of(case)}", flush=True)
    return [row_of(case) for case in pooled.values()]


def ratios_of(case: Case) -> dict[str, float]:
    ours, peers = case.seconds["optlab"], {n: t for n, t in case.seconds.items() if n != "optlab"}
    return {
        name: round(statistics.median(b / a for a, b in zip(ours, times, strict=True)), 3)
        for name, times in peers.items()
    }


def row_of(case: Case) -> dict[str, Any]:
    return {
        "layer": case.part,
        "case": case.name,
        "us": {name: round(1e6 * statistics.median(t), 1) for name, t in case.seconds.items()},
        "ratio": ratios_of(case),
        "first_call_s": {name: round(s, 4) for name, s in case.first_s.items()},
    }


def variance_error() -> dict[str, float]:
    """Return relative errors of the variance where mean / deviation is 1e4, against float64."""
    x = 1e4 + torch.randn(50_000, 8, generator=torch.Generator().manual_seed(0))
    exact = x.double().var(0)
    errors = {}
    for name, layer in {"optlab": ours.BatchNorm1d(8), "torch": nn.BatchNorm1d(8)}.items():
        layer.momentum = 1.0
        layer(x)
        found = layer.running_var.double()
        errors[name] = float(((found - exact) / exact).abs().max())
    return errors


def slowest(rows: list[dict[str, Any]], peer: str) -> float | None:
    """Return our longest time for a convolution, as a multiple of the peer's."""
    times = [1 / r["ratio"][peer] for r in rows if r["layer"] == "Conv2d"]
    return round(max(times), 2) if times else None


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the figures to reach are about."""

    def mean_of(ratios: list[float]) -> float | None:
        return round(math.exp(statistics.mean(map(math.log, ratios))), 3) if ratios else None

    def of(layer: str, peer: str = "torch", part: str = "") -> list[float]:
        return [r["ratio"][peer] for r in rows if r["layer"] == layer and part in r["case"]]

    three = [f"T={t} B={b} I={i} H={h}" for t, b, i, h in LSTM_SHAPES[:3]]
    large = [r for r in rows if r["layer"] == "LSTM" and r["case"] in three]
    return {
        "LSTM, geometric mean of three shapes": mean_of([r["ratio"]["torch"] for r in large]),
        "LSTM against a naive cell, H=128": [
            r["ratio"]["naive cell"]
            for r in rows
            if r["case"] in three[:2] and r["layer"] == "LSTM"
        ],
        "stacks of LSTMs": of("stack"),
        "BatchNorm, lowest": min(of("BatchNorm"), default=None),
        "BatchNorm, NCHW": of("BatchNorm", part="NCHW"),
        "Conv2d, time over torch's, worst": slowest(rows, "torch"),
        "Conv2d, time over torch's in channels-last, worst": slowest(rows, "torch, channels-last"),
        "variance, relative error at mean/std 1e4": variance_error(),
    }


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="the peer's time / optlab's (above 1: optlab is quicker)")
    for column in ("layer", "case", "optlab us", "peer", "peer us", "ratio"):
        table.add_column(column, justify="right" if "us" in column else "left")
    for r in rows:
        for peer, ratio in r["ratio"].items():
            times = (f"{r['us'][side]:.0f}" for side in ("optlab", peer))
            mine, theirs = times
            table.add_row(r["layer"], r["case"], mine, peer, theirs, f"{ratio:.2f}")
    Console(width=110).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, comma-separated")
    parser.add_argument("--builds", type=int, default=4, help="times that all is made anew")
    parser.add_argument("--rounds", type=int, default=5, help="per build")
    parser.add_argument("--budget", type=float, default=4.0, help="seconds per case")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.manual_seed(0)
    rows = measure_all(args.only.split(","), args)
    show(rows)
    result = {
        "benchmark": "bench_layers",
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
