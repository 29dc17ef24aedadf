"""A single optlab run against the loop a careful person writes by hand, with the same logging.

Both train the digits MLP 64-64-10 from resident data and record loss and accuracy of every update,
norms at the same cadence, a validation pass per epoch, into the same loggers. The hand-written loop
is `torch.nn` and `torch.optim` at its best setting (fused where torch has it). Rounds are
interleaved in one process, so that the machine's drift cancels; ratios are what counts.

    python scripts/bench_loop.py [--epochs 10] [--rounds 7] [--device cpu] [--out FILE.json]
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
from torch import nn

from optlab.build import parts_of
from optlab.environment import environment
from optlab.loggers.table import MetricsTable
from optlab.loggers.tensorboard import TensorBoardLogger
from optlab.train import train_alone

PEERS = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr, fused=True),
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, fused=True),
    "nag": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True, fused=True),
    "adagrad": lambda p, lr: torch.optim.Adagrad(p, lr=lr, fused=True),
    "rmsprop": lambda p, lr: torch.optim.RMSprop(p, lr=lr),
    "adam": lambda p, lr: torch.optim.Adam(p, lr=lr, fused=True),
}


def configuration(optimizer, batch, epochs, device):
    with initialize_config_module("optlab.configs", version_base="1.3"):
        config = compose(
            "train",
            overrides=[
                f"optimizer={'minibatch_gd' if optimizer == 'sgd' else optimizer}",
                f"trainer.batch_size={batch}",
                f"trainer.epochs={epochs}",
                "optimizer.lr=0.01",
                "diagnostics.update_ratios=false",  # what the hand-written loop does not log
                "diagnostics.flow_every=0",
                f"device={device}",
            ],
        )
    resolved = OmegaConf.to_container(config, resolve=False)
    resolved.pop("sweep")
    return resolved


def open_loggers(folder):
    return [TensorBoardLogger(folder, {"lr": 0.01}, "bench"), MetricsTable(folder)]


def close(loggers):
    for logger in loggers:
        logger.close()


def optlab_run(config):
    parts = parts_of(config)

    def run(folder):
        loggers = open_loggers(folder)

        def emit(update, epoch, values):
            for logger in loggers:
                logger.log(update, epoch, values)

        train_alone(replace(parts, module=copy.deepcopy(parts.module)), emit)
        close(loggers)

    return run, parts


def by_hand(optimizer_name, parts, epochs, batch):
    data, every = parts.data, parts.diagnostics.every
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).to(data.train.x.device)
    optimizer = PEERS[optimizer_name](model.parameters(), 0.01)
    x, y = data.train.x, data.train.y
    per_epoch = -(-len(x) // batch)

    def norms(kind, tensors):
        values = torch.stack([t.norm() for t in tensors.values()]).tolist()
        return {f"{kind}/{n}": v for n, v in zip(tensors, values, strict=True)}

    def validate():
        with torch.no_grad():
            z = model(data.val.x)
            loss = nn.functional.cross_entropy(z, data.val.y)
            hits = (z.argmax(1) == data.val.y).float().mean()
        return {"loss/val": loss.item(), "accuracy/val": hits.item()}

    def run(folder):
        loggers = open_loggers(folder)

        def log(update, values):
            for logger in loggers:
                logger.log(update, update / per_epoch, values)

        update, window = 0, []
        log(0, validate())
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).to(x.device).split(batch):
                xb, yb = x[rows], y[rows]
                optimizer.zero_grad()
                z = model(xb)
                loss = nn.functional.cross_entropy(z, yb)
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    window += [loss.detach(), (z.argmax(1) == yb).float().mean()]
                update += 1
                if every and update % every == 0:
                    named = dict(model.named_parameters())
                    grads = {n: p.grad for n, p in named.items()}
                    log(update, norms("gradient_norm", grads))
                    log(update, norms("weight_norm", {n: p.detach() for n, p in named.items()}))
                if update % 10 == 0:
                    mean_loss, hits = torch.stack(window).view(-1, 2).mean(0).tolist()
                    window = []
                    log(update, {"loss/train": mean_loss, "accuracy/train": hits, "lr": 0.01})
            log(update, validate())
        close(loggers)

    return run


def seconds(run):
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run(Path(folder))
        return time.perf_counter() - start


def compare(optimizer, batch, epochs, rounds, device):
    """Return the measured row of one setting; the ratio is of interleaved rounds, pair by pair."""
    ours, parts = optlab_run(configuration(optimizer, batch, epochs, device))
    theirs = by_hand(optimizer, parts, epochs, batch)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds + 1)][1:]
    updates = parts.num_updates
    return {
        "optimizer": optimizer,
        "batch": batch,
        "optlab_us_per_update": statistics.median(a for a, _ in pairs) / updates * 1e6,
        "by_hand_us_per_update": statistics.median(b for _, b in pairs) / updates * 1e6,
        "speed_ratio": statistics.median(b / a for a, b in pairs),
        "lowest": min(b / a for a, b in pairs),
        "highest": max(b / a for a, b in pairs),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        compare(optimizer, batch, options.epochs, options.rounds, options.device)
        for batch in options.batches
        for optimizer in PEERS
    ]
    table = Table(title=f"single run on {options.device}, one thread, against a hand-written loop")
    for key in rows[0]:
        table.add_column(key, justify="right")
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console().print(table)
    if options.out:
        record = {
            "environment": environment(options.device),
            "epochs": options.epochs,
            "rows": rows,
        }
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
