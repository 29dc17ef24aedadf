"""How gradients flow through a run's layers, by a program: `optlab.diagnostics.gradient_flow` in C.

A look in PyTorch takes as long as a hundred updates of a small network, most of it in Python.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from optlab.compiler import NoCompiler, NotCompiled
from optlab.diagnostics import Drift, undisturbed
from optlab.diagnostics.flow import Look, looked
from optlab.diagnostics.quantity import is_layer
from optlab.train.native.function import Bound, Function, compiled, room_of
from optlab.train.native.modules import called
from optlab.train.native.programs import Model, once
from optlab.train.objective import Objective


@dataclass(frozen=True)
class Program:
    """A look at rows of given shapes, compiled for all runs that share it.

    Attributes:
        function: Of parameters, buffers, inputs, targets, what the last look left (which is
            written), and a place for the numbers.
        form: What the numbers stand for.
        left: Of what a look leaves in `Drift`, the units of each activation.
    """

    function: Function
    form: Look
    left: dict[str, int]


class FlowLook:
    """Looks at one run. It has a memory of its last look, kept in a `Drift`.

    Args:
        program: What looks.
        module: The run's module, whose parameters and buffers stay where they lie.
        x: Inputs of the rows to look at.
        y: Their targets.
        room: Memory to work in, which looks may share.
    """

    def __init__(
        self, program: Program, module: nn.Module, x: Tensor, y: Tensor, room: Tensor
    ) -> None:
        self._form = program.form
        self._numbers = torch.zeros_like(program.form.numbers)
        sizes = [3 * units for units in program.left.values()]
        self._memory = torch.zeros(sum(sizes), dtype=torch.float64)
        parts = torch.split(self._memory, sizes)
        self._parts = {n: p.view(3, -1) for n, p in zip(program.left, parts, strict=True)}
        state = [*(p.detach() for p in module.parameters()), *module.buffers()]
        given = [*state, x.contiguous(), y.contiguous(), self._memory, self._numbers]
        self._call = Bound(program.function, given, room)

    def values(self, drift: Drift) -> dict[str, float]:
        """Return what `gradient_flow` returns.

        Args:
            drift: What the last look left, which may have been another's.
        """
        is_first = not drift.sums
        for name, known in drift.sums.items():
            if known is not self._parts[name]:
                self._parts[name].copy_(known)
        self._call()
        drift.sums = self._parts
        found = Look(self._form.tags, self._form.places, self._numbers).values()
        if is_first:
            found = {tag: v for tag, v in found.items() if not tag.startswith("drift/")}
        return found


def flow_looks(
    models: Sequence[Model], modules: Sequence[nn.Module], x: Tensor, y: Tensor
) -> list[FlowLook | None]:
    """Return what looks at each run; None for a module that cannot be recorded, or has no layers.

    Args:
        models: What is compiled for each run.
        modules: Their modules.
        x: Inputs of the rows to look at.
        y: Their targets.

    Raises:
        NoCompiler: Where nothing can be compiled.
    """
    programs = [_program_or_none(model, x, y) for model in models]
    room = room_of(max((p.function.room for p in programs if p is not None), default=0))
    return [
        None if program is None else FlowLook(program, module, x, y, room)
        for program, module in zip(programs, modules, strict=True)
    ]


def _program_or_none(model: Model, x: Tensor, y: Tensor) -> Program | None:
    """Return the program that looks at runs of a model, or None."""
    if not any(map(is_layer, model.module.modules())):
        return None
    try:
        key = ("flow", model.structure, x.shape, y.shape)
        found: Program = once(key, lambda: _made(model, x, y))
    except NoCompiler:
        raise
    except NotCompiled:
        return None
    return found


def _made(model: Model, x: Tensor, y: Tensor) -> Program:
    looking = _Looking(copy.deepcopy(model.module).train(), model.objective, y)
    with undisturbed(looking):
        looking(x)
        looking(x)  # now with values of the drift
    form, left = looking.found.pop(), looking.drift.sums
    names = [name for name, _ in looking.named_parameters()]
    learns = [p.requires_grad for p in looking.parameters()]
    buffers = [name for name, _ in looking.named_buffers()]

    def function(*tensors: Tensor) -> list[Tensor]:
        *state, x, looking.y, memory, _ = tensors
        own = [p.detach().requires_grad_(flag) for flag, p in zip(learns, state, strict=False)]
        kept = [b.clone() for b in state[len(names) :]]
        parts = torch.split(memory, [sums.numel() for sums in left.values()])
        looking.drift.sums = {n: p.view(3, -1) for n, p in zip(left, parts, strict=True)}
        called(looking, dict(zip((*names, *buffers), (*own, *kept), strict=True)), x, buffers)
        sums = [part.reshape(-1) for part in looking.drift.sums.values()]
        return [torch.cat([memory[:0], *sums]), looking.found.pop().numbers]

    memory = torch.zeros(sum(sums.numel() for sums in left.values()), dtype=torch.float64)
    state = [*(p.detach() for p in looking.parameters()), *looking.buffers()]
    inputs = [*state, x, y, memory, form.numbers]
    slots = list(range(len(inputs)))
    function_in_c = compiled(function, inputs, slots, slots[-2:])
    return Program(function_in_c, form, {name: sums.shape[1] for name, sums in left.items()})


class _Looking(nn.Module):
    """Makes a look at a module wherever the module would be called.

    Attributes:
        y: Targets of the rows.
        drift: What the last look left.
        found: The looks.
    """

    def __init__(self, module: nn.Module, objective: Objective, y: Tensor) -> None:
        super().__init__()
        self.module, self.y, self.drift = module, y, Drift()
        self.found: list[Look] = []
        self._loss = objective.loss

    def forward(self, x: Tensor) -> Tensor:
        modes = [part.training for part in self.modules()]
        self.found.append(looked(self.module, self._loss, x, self.y, self.drift))
        for part, mode in zip(self.modules(), modes, strict=True):
            part.training = mode
        return x
