"""What a model consists of, as a table: layers, what they return, and their parameters."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from optlab.diagnostics.undisturbed import undisturbed

#: Rows of a table at most.
MOST_ROWS = 40


class _Row(NamedTuple):
    """A module of the table; of one that is not ``whole`` only what its parts have not."""

    name: str
    module: nn.Module
    whole: bool

    @property
    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.module.parameters(recurse=self.whole))


@torch.no_grad()
def model_summary(module: nn.Module, x: Tensor) -> str:
    """Return a model's layers as a table in markdown; nothing of the model is changed.

    Of more than `MOST_ROWS` layers those that lie deepest are put together by what they belong to.

    Args:
        module: The model.
        x: Some input rows, at least two, to see the shapes of what layers return.
    """
    rows, left_out = _rows(module)
    returned = _returned(module, rows, x)
    lines = [_totals(module), "", "| layer | kind | returns | parameters |", "|---|---|---|--:|"]
    for row in rows:
        kind, shape = type(row.module).__name__, returned.get(row.name, "")
        if shape or row.num_parameters:  # what was not called and has nothing is an empty list
            lines.append(f"| {row.name or '(model)'} | {kind} | {shape} | {row.num_parameters:,} |")
    return "\n".join([*lines, *[f"| and {left_out} more | | | |"] * (left_out > 0)])


def _totals(module: nn.Module) -> str:
    """Return the sentence above the table."""
    parameters = list(module.parameters())
    total = sum(p.numel() for p in parameters)
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    num_bytes = sum(t.numel() * t.element_size() for t in (*parameters, *module.buffers()))
    kinds = ", ".join(dict.fromkeys(str(p.dtype).removeprefix("torch.") for p in parameters))
    size = f"{num_bytes / 1024:,.1f} KiB" if num_bytes >= 1024 else f"{num_bytes} bytes"
    return (
        f"{total:,} parameters ({kinds or 'none'}), {trained:,} of them trained; with buffers they "
        f"take {size}"
    )


def _rows(module: nn.Module) -> tuple[list[_Row], int]:
    """Return the rows of the table, and how many were left out."""
    depths = {name.count(".") + 1 for name, _ in module.named_modules() if name}
    for depth in sorted(depths | {0}, reverse=True):
        rows = _rows_to(module, depth)
        if len(rows) <= MOST_ROWS or depth <= 1:
            break
    return rows[:MOST_ROWS], len(rows[MOST_ROWS:])


def _rows_to(module: nn.Module, depth: int) -> list[_Row]:
    """Return modules down to a depth, and those above that have parameters of their own."""
    rows = []
    for name, part in module.named_modules():
        own_depth = name.count(".") + 1 if name else 0
        is_leaf = not any(True for _ in part.children())
        if own_depth == depth or (own_depth < depth and is_leaf):
            rows.append(_Row(name, part, True))
        elif own_depth < depth and any(True for _ in part.parameters(recurse=False)):
            rows.append(_Row(name, part, False))
    return rows


def _returned(module: nn.Module, rows: Sequence[_Row], x: Tensor) -> dict[str, str]:
    """Return the shape of what each module of the table returns for one input row, by its name."""
    found: dict[str, str] = {}

    def seen(name: str, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor):
            found[name] = " x ".join(map(str, first.shape[1:])) or "1"

    hooks = [
        row.module.register_forward_hook(lambda _, __, output, name=row.name: seen(name, output))
        for row in rows
    ]
    try:
        with undisturbed(module):
            module.eval()
            module(x)
    finally:
        for hook in hooks:
            hook.remove()
    return found
