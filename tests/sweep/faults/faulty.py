"""A user's module, with a fault in it that a run asks for by name.

Tests copy it beside their sweep as a plugin and never import it here: what it registers is not
optlab's. Once it is mended (`MENDED` in the environment) it does nothing but train.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass

import torch
from torch import nn

from optlab.optim import Hyper, Rule, RuleOptimizer
from optlab.registry import models, optimizers
from optlab.types import NonNegative
from tests.sweep.faults.names import FILLER, MENDED, RATES

#: Locks a database, says so, and holds it until its standard input is closed.
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""
HELD = []


class Unsayable(Exception):
    """An error that cannot be put into words."""

    def __str__(self):
        raise RuntimeError("no words")


def error():
    raise ValueError("no such thing")


def call_sys_exit():
    sys.exit(3)


def unsayable():
    raise Unsayable


def unwritable():
    raise ValueError("a file called \udcff\nand more of it")


def out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory.")


def allocate():
    return torch.zeros(10**10)


def fill_disk():
    """Leave no byte on the disk, as another program might."""
    with open(FILLER, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def limit_files():
    """Let the system refuse whatever makes a file longer than some bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))


def lock_ledger():
    """Have another process hold the ledger for as long as this one is there."""
    words = [sys.executable, "-c", HOLD, "s/ledger.sqlite"]
    pipe = subprocess.PIPE
    HELD.append(subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL))
    HELD[-1].stdout.readline()


def exit_at_once():
    os._exit(4)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


RAISING = (error, call_sys_exit, unsayable, unwritable, out_of_memory, allocate)
SILENT = (fill_disk, limit_files, lock_ledger, exit_at_once, kill)
FAULTS = {fault.__name__: fault for fault in (*RAISING, *SILENT)}


def fail(name):
    """Do what is called so, unless the module was mended."""
    if name in FAULTS and MENDED not in os.environ:
        FAULTS[name]()


class Faulty(nn.Module):
    """A layer that fails in its n-th call in training; it counts, so nobody can stack it."""

    def __init__(self, inputs, outputs, fault, call):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.fault, self.call, self.calls = fault, call, 0

    def forward(self, x):
        y = self.linear(x.flatten(1))
        if not self.training:
            return y
        self.calls += 1
        if self.calls == self.call:
            fail(self.fault)
        return y * float("nan") if self.fault == "nans" and self.calls >= self.call else y


@models.register("faulty")
def faulty(context, *, fault: str = "none", call: int = 5, at_once: bool = False):
    """Build the layer; ``at_once`` it fails already now."""
    context.activation()
    if at_once:
        fail(fault)
    return Faulty(context.num_inputs, context.num_outputs, fault, call)


@dataclass(frozen=True)
class FaultyHyper(Hyper):
    lr: NonNegative = 0.01


def init_state(param, hyper):
    """Fail for some learning rates: where a stack is made, the run is one of many."""
    fail({rate: name for name, rate in RATES.items()}.get(hyper.lr))
    return {}


def update(grad, param, state, hyper):
    return param - 0.01 * hyper.lr * grad, {}


@optimizers.register("faulty")
class FaultyOptimizer(RuleOptimizer):
    rule = Rule(FaultyHyper, init_state, update)
