"""Checkpoints on disk: how a training stands, so that it can go on after any end of its process.

A file is written beside its place, forced to the disk and moved; its name holds the digest of its
bytes, so that a damaged one is known, and `torch.load` reads it with ``weights_only=True``. The
last two are kept, for the case that the newest is damaged.
"""

import hashlib
import io
import shutil
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from optlab.results import write_atomic

#: The form of what is written here; files of another form are refused.
FORM = 1
KEPT = 2

Content = Mapping[str, Any]


class NotKept(Exception):
    """What was to be kept holds something that a checkpoint cannot; the message says what."""


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: Where they lie; made with the first of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, updates: int, content: Content) -> None:
        """Keep a state, and no more than the one before it.

        Args:
            updates: Updates made.
            content: Mappings, lists, tuples, tensors, numbers and texts.

        Raises:
            NotKept: When ``content`` holds anything else.
            OSError: When it cannot be written; the checkpoints before are still there.
        """
        require_plain(content)
        file = io.BytesIO()
        torch.save({"form": FORM, **content}, file)
        data = file.getbuffer()  # no second copy of it
        for left in self.folder.glob(".*.tmp"):  # of a process that was killed in the midst of it
            left.unlink(missing_ok=True)
        write_atomic(self.folder / f"{updates:012d}-{_digest(data)}.pt", data)
        for path in self._paths()[KEPT:]:
            path.unlink(missing_ok=True)

    def newest(self, refusal: Callable[[Content], str]) -> tuple[Content | None, list[str]]:
        """Return the newest state that is whole and not refused, if there is one.

        Newer files than that are removed: they would stand for the last two.

        Args:
            refusal: Says why a state cannot be used, or nothing.

        Returns:
            The state, and for each newer file why it was passed over.
        """
        reasons: list[str] = []
        passed: list[Path] = []
        for path in self._paths():
            content, reason = _read(path)
            reason = reason or refusal(content)
            if not reason:
                for newer in passed:
                    newer.unlink(missing_ok=True)
                return content, reasons
            passed.append(path)
            reasons.append(f"{path}: {reason}")
        return None, reasons

    @property
    def updates(self) -> int:
        """Updates that had been made at the newest, which may be damaged; -1 without any."""
        return max((int(path.name.partition("-")[0]) for path in self._paths()), default=-1)

    def remove(self) -> None:
        """Remove all of them: the training has come to its end."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        """Return the files, the newest first."""
        return sorted(self.folder.glob("[0-9]*-*.pt"), reverse=True)


def require_plain(value: Any, place: str = "") -> None:
    """Refuse what `torch.load` would not read with ``weights_only=True``.

    Raises:
        NotKept: Naming the place and the type.
    """
    if type(value) in (dict, OrderedDict):
        for key, inner in value.items():
            if type(key) not in (int, str):
                raise NotKept(f"{place} has the key {key!r}")
            require_plain(inner, f"{place}.{key}" if place else str(key))
    elif type(value) in (list, tuple):
        for index, inner in enumerate(value):
            require_plain(inner, f"{place}[{index}]")
    elif type(value) not in (Tensor, Parameter, int, float, bool, str, type(None)):
        raise NotKept(f"{place} is a {type(value).__module__}.{type(value).__qualname__}")


def _read(path: Path) -> tuple[Content, str]:
    """Return what a file holds, and why it cannot be used, if so."""
    try:
        data = path.read_bytes()
        if _digest(data) != path.stem.partition("-")[2]:
            return {}, "it is damaged"
        content: Content = torch.load(io.BytesIO(data), "cpu", weights_only=True)
    except Exception as error:  # whatever unpickling makes of bytes that nobody here wrote
        return {}, f"it cannot be read ({type(error).__name__}: {error})"
    if not isinstance(content, dict) or content.get("form") != FORM:
        return {}, "it is of another form, written by another version of optlab"
    return content, ""


def _digest(data: bytes | memoryview) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
