"""A language model of characters: which comes next? (NLP-06).

Shapes: rows N, time T, symbols V.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from optlab import seeding
from optlab.config import ConfigError
from optlab.files import content_of, digest_of
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.tasks.splits import Rows
from optlab.types import Depth, Natural

#: Bytes of a text file. Its characters take twelve times as much memory while they are numbered.
LARGEST = 2**28


@dataclass(frozen=True)
class Alphabet:
    """Characters and their numbers: 0 for every unknown one, then the known ones in order.

    Attributes:
        known: Code points of the known characters, ascending, shape (V - 1,).
    """

    known: Tensor

    UNKNOWN: ClassVar[str] = "\N{REPLACEMENT CHARACTER}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the alphabet of the characters in ``text``."""
        return cls(torch.unique(_code_points(text)))

    def __len__(self) -> int:
        return len(self.known) + 1

    def encode(self, text: str) -> Tensor:
        """Return the number of every character, shape (len(text),), int64."""
        points = _code_points(text)
        place = torch.searchsorted(self.known, points).clamp(max=len(self.known) - 1)
        return torch.where(self.known[place] == points, place + 1, 0)

    def decode(self, tokens: Tensor) -> str:
        """Return the text of numbers (T,), the unknown character for 0."""
        characters = [self.UNKNOWN, *map(chr, self.known.tolist())]
        return "".join(characters[token] for token in tokens.tolist())


@tasks.register("characters")
@dataclass(frozen=True)
class Characters(CheckedTask):
    """Windows of a text; the target at every step is the next character. x and y: (N, T), int64.

    The text is cut in three, 60, 20 and 20 of a hundred, from front to back, so that no test window
    lies between training windows; each part is cut into windows that follow one another, and of
    these some are drawn. The vocabulary is the characters of the training part and one more symbol
    for all others. A loss in nats, divided by ln 2, is in bits per character.

    Without a file the text is the help of Python itself (`pydoc_data.topics`): 465 thousand
    characters of technical English that stand wherever Python does, so that the task needs no
    network. It changes with Python's version: compare results on a file of your own, or where
    ``text_crc32`` is the same.

    `Data.notes` holds ``unigram_bits_per_character``, the cross-entropy on the test rows of the
    characters' frequencies in the training rows (each counted once more, so that none is 0), which
    a model that reads its input is below; the share of unknown characters among the test targets,
    and number and CRC-32 of the text's characters (in UTF-8).

    Attributes:
        path: Text file, UTF-8, of 256 MiB at most; None takes the help of Python.
        digest: First 12 digits of the file's SHA-256; another content is refused. A run that does
            not give it gets it from the file as the run is set up, so that what the text holds is
            part of its identity. None checks nothing.
        length: T, characters of a window.
        lowercase: Read the text in lower case, for a smaller vocabulary.
        max_rows: Windows of all splits together are no more than this; None takes all.
        data_seed: Seed of the choice of windows.
    """

    path: str | None = None
    digest: str | None = None
    length: Depth = 32
    lowercase: bool = False
    max_rows: Rows | None = 2000
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "sparse_cce"

    def load(self) -> Data:
        """Read the text, cut it, number its characters, draw windows."""
        text = self._text()
        parts = self._parts(text)
        alphabet = Alphabet.of(parts[0])
        train, val, test = self._splits([alphabet.encode(part) for part in parts])
        notes = {
            "unigram_bits_per_character": _unigram_bits(train.y, test.y, len(alphabet)),
            "unknown_fraction": float((test.y == 0).double().mean()),
            "text_characters": float(len(text)),
            "text_crc32": float(zlib.crc32(text.encode())),
        }
        size = len(alphabet)
        return Data(
            train,
            val,
            test,
            num_classes=size,
            vocabulary=size,
            target_steps=self.length,
            notes=notes,
        )

    def alphabet(self) -> Alphabet:
        """Return what the tokens stand for, to read what a model writes."""
        return Alphabet.of(self._parts(self._text())[0])

    def _text(self) -> str:
        text = _help_of_python() if self.path is None else _file_text(self.path, self.digest)
        return text.lower() if self.lowercase else text

    def _parts(self, text: str) -> tuple[str, str, str]:
        ends = (round(0.6 * len(text)), round(0.8 * len(text)))
        parts = (text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :])
        if min(map(self._num_windows, parts)) == 0:
            raise ConfigError(
                f"{self.path or 'the help of Python'} has {len(text)} characters, but three splits "
                f"of windows of length={self.length} need about {5 * (self.length + 1)}: give a "
                "longer text (task.path) or a smaller task.length"
            )
        return parts

    def _num_windows(self, part: str | Tensor) -> int:
        return max(len(part) - 1, 0) // self.length

    def _splits(self, parts: list[Tensor]) -> list[Split]:
        """Return windows of each part, in their order, in proportion to its length."""
        draws = seeding.generator(self.data_seed, "data")
        counts = [self._num_windows(part) for part in parts]
        cap = self.max_rows or sum(counts)
        splits = []
        for tokens, count in zip(parts, counts, strict=True):
            kept = max(1, min(count, cap * count // sum(counts)))
            rows = torch.randperm(count, generator=draws)[:kept].sort().values
            x, y = (tokens[i : i + count * self.length].view(count, -1)[rows] for i in (0, 1))
            splits.append(Split(x, y))
        return splits


def _help_of_python() -> str:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise ConfigError(
            "this Python comes without its help (pydoc_data): give a text file with task.path=FILE"
        ) from None
    return "\n".join(topics[name] for name in sorted(topics))


def _file_text(path: str, digest: str | None) -> str:
    try:
        content = content_of(Path(path), LARGEST)
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from None
    if "\0" in text:
        raise _unreadable(path, "it holds NUL characters")
    if not text:
        raise _unreadable(path, "it is empty")
    if digest not in (None, digest_of(content)):
        raise ConfigError(
            f"the text in {path!r} is another one than this run is about: its digest is "
            f"{digest_of(content)}, not {digest} (task.digest); restore it, or take it as it is "
            "now with task.digest=null"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unreadable(path: str, reason: str) -> ConfigError:
    return ConfigError(
        f"path must be a text file in UTF-8, got {path!r}: {reason} (task.path); null takes the "
        "help of Python"
    )


def _code_points(text: str) -> Tensor:
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    return torch.from_numpy(points.astype(np.int64))


def _unigram_bits(train: Tensor, test: Tensor, symbols: int) -> float:
    """Return the mean bits of ``test`` under add-one frequencies of ``train``."""
    counts = train.flatten().bincount(minlength=symbols).double() + 1
    return float(-(counts / counts.sum()).log2()[test].mean())
