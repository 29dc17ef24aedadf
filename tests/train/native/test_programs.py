"""Functions that runs share: made once, from several threads, and again in a forked process."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from optlab.compiler import NoCompiler
from optlab.train.native import Native, programs
from optlab.train.native.function import kernels
from tests.train.native.calling import check, normal
from tests.train.native.test_backend import advance, parts, weights

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)


def runs(overrides):
    return [parts(*overrides, seed=seed) for seed in range(3)]


def trained(members):
    native = Native(members, 2)
    advance(native, members, range(3))
    return torch.stack([weights(member) for member in native.members])


def test_seeds_share_their_programs():
    programs._known.clear()
    Native([parts("norm=batchnorm", "model.dropout=0.3", seed=seed) for seed in range(4)])
    kinds = sorted(key[0] for key in programs._known)
    assert kinds == ["evaluation", "flow", "gradient", "update"]


@pytest.mark.parametrize("overrides", [["norm=batchnorm"], ["norm=layernorm"], ["task=line"]])
def test_small_networks_run_without_python(overrides):
    programs._known.clear()
    Native([parts(*overrides)])
    made = {key[0]: found for key, found in programs._known.items() if key[0] != "flow"}
    assert len(made) == 3
    assert all(function.is_whole for function in made.values())


def test_threads_that_train_at_once_do_not_meet():
    cases = [["activation=tanh"], ["norm=batchnorm"], ["optimizer=adam"], ["activation=tanh"]]
    programs._known.clear()
    made = [runs(overrides) for overrides in cases]
    with ThreadPoolExecutor(len(cases)) as threads:
        at_once = list(threads.map(trained, made))
    programs._known.clear()
    for overrides, found in zip(cases, at_once, strict=True):
        assert torch.equal(found, trained(runs(overrides)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_process_compiles_anew():
    check(lambda x: [x + 1], normal(3))
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        check(lambda x: [x * 2 + 0.12345], normal(3))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
