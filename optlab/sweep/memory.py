"""How much memory the runs of a program take, measured on one of them, and how much there is."""

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from optlab.build import parts_of
from optlab.config import ConfigError
from optlab.environment import usable_cores
from optlab.identity import flatten
from optlab.plugins import import_plugins
from optlab.seeding import global_stream
from optlab.sweep.peak_memory import PeakMemory
from optlab.sweep.planned import PlannedRun
from optlab.sweep.program import Footprint
from optlab.train.objective import rows_of_a_chunk
from optlab.train.parts import Parts, RuleChoice
from optlab.train.stack.vmapped import NotStackable
from optlab.train.step import RunState, initial_state, make_run_step, updated_params

#: Shares of the free memory, of a device's and of the machine's, that all workers take together.
#: The rest is for evaluation, records, fragments, and what else runs there.
OF_CUDA, OF_RAM = 0.8, 0.5

#: Bytes of the last cache where the system does not say.
USUAL_CACHE = 2**24


def measure(runs: Sequence[PlannedRun], vmapped: bool) -> tuple[Footprint, int]:
    """Measure runs of one program on the CPU, whatever their device.

    Exact are weights, buffers and the optimizer's state, of the run that has most. To these comes
    what an update or an evaluation of such a run makes at most, in a stack of one: it grows in
    proportion. Compiled programs need less.

    Args:
        runs: At least one, none with an optimizer of others.
        vmapped: Whether all runs of an array are updated at once; else one per core.

    Returns:
        Their memory, and the updates of one run.

    Raises:
        NotStackable: When the step cannot be vmapped.
        ConfigError: For a configuration that cannot be used.
    """
    parts, *others = _parts_by_kind(runs)
    largest = max((parts, *others), key=lambda each: _bytes(_state(each)))
    state = _state(largest)
    weights = _bytes((state.params, state.buffers))
    returns = any(_keeps_best(run.config["trainer"]) for run in runs)
    # Every member of a stack has a module and its last gradients, too.
    kept = _bytes(state) + weights + _bytes(state.params) + returns * weights
    step = _peak(largest, vmapped)
    splits = (parts.data.train, parts.data.val, parts.data.test)
    data = _bytes([(split.x, split.y) for split in splits])
    if vmapped:
        return Footprint(kept + step, data, weights), parts.num_updates
    return Footprint(kept, data + step * usable_cores(), weights), parts.num_updates


def budget(device: torch.device, vmapped: bool, workers: int = 1) -> int:
    """Return the bytes that one of several workers may use on a device.

    On a CPU, runs that are updated at once also share its last cache: past that they are slower
    together than in smaller arrays.
    """
    if device.type == "cuda":
        per_device = -(-workers // torch.cuda.device_count())
        return int(OF_CUDA * torch.cuda.mem_get_info(device)[0]) // per_device
    ram = int(OF_RAM * available_ram()) // workers
    return min(ram, last_cache()) if vmapped else ram


def available_ram() -> int:
    """Return the bytes that can be had without swapping, within a container's limit."""
    words = _read("/proc/meminfo").split()
    if "MemAvailable:" in words:
        free = int(words[words.index("MemAvailable:") + 1]) * 1024
    else:
        free = int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES")) // 2
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if limit.isdecimal() and used.isdecimal():
        free = min(free, max(int(limit) - int(used), 0))
    return free


def last_cache() -> int:
    """Return the bytes of the processor's last cache."""
    sizes = [_read(f"/sys/devices/system/cpu/cpu0/cache/index{i}/size").strip() for i in range(5)]
    known = [int(size[:-1]) * 1024 for size in sizes if size.endswith("K")]
    return max(known, default=USUAL_CACHE)


def _parts_by_kind(runs: Sequence[PlannedRun]) -> list[Parts]:
    """Return the parts of one run of each kind of optimizer state, in order of the runs."""
    first: dict[Any, PlannedRun] = {}
    for run in runs:
        first.setdefault(_kind(run.config), run)
    found: list[Parts] = []
    for run in first.values():
        found.append(_parts(run, found[0] if found else None))
    return found


def _kind(config: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Return what the entries of an optimizer's state follow from: see `optlab.optim.rule.Rule`."""
    options = flatten({name: config[name] for name in ("optimizer", "transform")})
    kinds = ((k, v == 0 if isinstance(v, float) else v) for k, v in options.items())
    return frozenset((key, repr(value)) for key, value in kinds)


def _parts(run: PlannedRun, like: Parts | None) -> Parts:
    try:
        import_plugins(run.config["plugins"])
        with global_stream(run.config["seed"], "cpu"):
            return parts_of({**run.config, "device": "cpu"}, run.chosen, like)
    except ConfigError as error:
        raise ConfigError(f"run {run.name}: {error}") from error


def _state(parts: Parts) -> RunState:
    choice = parts.optimizer
    assert isinstance(choice, RuleChoice)
    return initial_state(parts.module, choice.make.rule, choice.hyper)


def _keeps_best(trainer: Mapping[str, Any]) -> bool:
    return trainer["patience"] is not None and bool(trainer["restore_best"])


def _bytes(tree: Any) -> int:
    return sum(int(leaf.nbytes) for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _peak(parts: Parts, vmapped: bool) -> int:
    """Return the bytes that one run's update or evaluation makes on top of what the run keeps."""
    choice, rows = parts.optimizer, parts.data.train
    assert isinstance(choice, RuleChoice)
    state, size = _state(parts), parts.sampler.batch_size
    step = _step_under_vmap(parts, choice) if vmapped else _step(parts, choice)
    lr, batch = {"lr": torch.tensor(choice.hyper.lr)}, (rows.x[:size], rows.y[:size])
    splits = (parts.data.train, parts.data.val, parts.data.test)
    longest = max(splits, key=lambda split: rows_of_a_chunk(split.x) * split.x[:1].numel())
    chunk = [part[: rows_of_a_chunk(longest.x)] for part in (longest.x, longest.y)]
    return max(
        _peak_of(step, (state, lr, batch), vmapped) + _bytes([part.clone() for part in batch]),
        _peak_of(_evaluation(parts), (state, *chunk), vmapped),
    )


def _step_under_vmap(parts: Parts, choice: RuleChoice) -> Callable[..., Any]:
    """Return ``(state, values, batch) -> (state, measured)``, an update."""
    return make_run_step(
        *(parts.module, parts.objective, choice.make.rule, choice.hyper),
        *(parts.regularizer, len(parts.data.train)),
    )


def _step(parts: Parts, choice: RuleChoice) -> Callable[..., Any]:
    """Return the same without `torch.func.grad`, which imports PyTorch's compiler: a second."""
    template, objective = copy.deepcopy(parts.module).train(), parts.objective

    def step(state: RunState, values: Any, batch: tuple[Tensor, Tensor]) -> Any:
        own = {name: p.detach().requires_grad_() for name, p in state.params.items()}
        buffers = {name: b.clone() for name, b in state.buffers.items()}
        output = torch.func.functional_call(template, (own, buffers), (batch[0],))
        loss = objective.loss(output, batch[1])
        grads = torch.autograd.grad(loss, list(own.values()), materialize_grads=True)
        with torch.no_grad():
            measured = objective.values(loss, output, batch[1])
            named = dict(zip(own, grads, strict=True))
            return measured, updated_params(
                *(named, state.params, state.optimizer, choice.make.rule, choice.hyper),
                *(parts.regularizer, len(parts.data.train)),
            )

    return step


def _evaluation(parts: Parts) -> Callable[..., Any]:
    """Return ``(state, x, y) -> values`` of the module in evaluation mode."""
    template, objective = copy.deepcopy(parts.module).eval(), parts.objective

    @torch.no_grad()
    def evaluate(state: RunState, x: Tensor, y: Tensor) -> list[Tensor]:
        output = torch.func.functional_call(template, (state.params, state.buffers), (x,))
        return objective.values(objective.loss(output, y), output, y)

    return evaluate


def _peak_of(function: Callable[..., Any], inputs: tuple[Any, ...], vmapped: bool) -> int:
    """Return the most bytes that lived at once of what a function makes.

    Raises:
        NotStackable: When it cannot be vmapped.
    """
    memory = PeakMemory()
    with memory:
        if not vmapped:
            function(*inputs)
            return memory.most
        try:
            torch.vmap(function)(*tree_map(lambda leaf: leaf.unsqueeze(0), inputs))
        except Exception as error:  # whatever a model's own code does with tensors that it cannot
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise NotStackable(f"torch.vmap refuses the network or the rule: {reason}") from error
    return memory.most


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
