"""``protocol.json``: what a folder follows, what was chosen there, and what counts as solved."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optlab.config import ConfigError
from optlab.protocol.folders import PROTOCOL_FILE
from optlab.protocol.line import Line, differences
from optlab.protocol.protocol import Protocol, read
from optlab.protocol.winners import Winner
from optlab.results import unreadable, write_json
from optlab.sweep.refusal import FolderTakenError
from optlab.sweep.run_folder import LEDGER_FILE


@dataclass(frozen=True)
class Record:
    """What is known of a protocol that is followed in a folder.

    Attributes:
        protocol: What is followed.
        words: What was typed beside the protocol and the folder.
        held: What of that can change a result, by key.
        left_out: Optimizers that a pattern matched and that take no part.
        winners: The best trial for every optimizer, setting and budget; none before all are ended.
        baselines: Those that are trained for the target alone.
        targets: What counts as solved, by group: ``metric``, ``value``, and ``from`` which words.
    """

    protocol: Protocol
    words: tuple[str, ...]
    held: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    winners: tuple[Winner, ...] = ()
    baselines: tuple[Winner, ...] = ()
    targets: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_judged(self) -> bool:
        """Whether all winners have their scores on fresh seeds."""
        return bool(self.winners) and all(winner.scores for winner in self.winners)

    def line(self, folder: Path) -> Line:
        """Return the line that goes on with it."""
        return Line(self.protocol.name, folder, self.words)


def new_record(line: Line, protocol: Protocol) -> Record:
    """Return the record of a protocol that is about to begin."""
    return Record(protocol, line.words, line.held)


def refuse_other(record: Record, line: Line, protocol: Protocol) -> None:
    """Refuse another protocol, or another line, than the folder's.

    Raises:
        FolderTakenError: Naming what differs.
    """
    there, here = record.protocol, protocol
    if (there.name, there.digest) != (here.name, here.digest):
        raise FolderTakenError(
            f"{line.folder} follows protocol {there.title}, and this line {here.title}; choose "
            "another sweep.dir"
        )
    if dict(record.held) != line.held:
        raise FolderTakenError(
            f"{line.folder} follows protocol {there.name} with another line "
            f"({differences(record.held, line.held)}); choose another sweep.dir"
        )


def refuse_sweep(folder: Path) -> None:
    """Refuse a folder that holds an ordinary sweep."""
    if (folder / LEDGER_FILE).exists():
        raise FolderTakenError(
            f"{folder} holds a sweep that follows no protocol; choose another sweep.dir"
        )


def write_record(folder: Path, record: Record) -> None:
    """Write the record, whole or not at all."""
    protocol = record.protocol
    payload = {
        "protocol": protocol.name,
        "version": protocol.version,
        "digest": protocol.digest,
        "content": protocol.content,
        "line": record.words,
        **{key: value for key, value in _plain(record).items() if key not in ("protocol", "words")},
    }
    write_json(folder / PROTOCOL_FILE, payload)


def read_record(folder: Path) -> Record:
    """Read the record of a folder.

    Raises:
        ConfigError: When it cannot be read.
    """
    path = folder / PROTOCOL_FILE
    try:
        found = json.loads(path.read_bytes())
        return Record(
            read(found["protocol"], found["content"]),
            tuple(map(str, found["line"])),
            found["held"],
            tuple(found["left_out"]),
            tuple(map(_winner, found["winners"])),
            tuple(map(_winner, found["baselines"])),
            {g: {**t, "value": float(t["value"])} for g, t in found["targets"].items()},
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise unreadable(path, error) from error


def _plain(record: Record) -> dict[str, Any]:
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    for name in ("winners", "baselines"):
        fields[name] = [dataclasses.asdict(winner) for winner in fields[name]]
    return fields


def _winner(found: Mapping[str, Any]) -> Winner:
    lists = {key: tuple(found[key]) for key in ("setting", "drawn", "edges")}
    values = {"tuned": float(found["tuned"]), "scores": tuple(map(float, found["scores"]))}
    return Winner(**{**found, **lists, **values})
