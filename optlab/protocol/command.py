"""Which lines of ``optlab sweep`` are about a protocol, and what each of them asks for."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from optlab.config import ConfigError
from optlab.protocol.folders import is_followed, stages
from optlab.protocol.line import KEY, Line, read_line
from optlab.sweep.command import FLAGS, FOLDER_KEYS
from optlab.sweep.consent import words_with_code
from optlab.sweep.words import parse


def concerns_protocol(arguments: Sequence[str]) -> bool:
    """Say whether a line follows a protocol, goes on with one, or names the folder of one."""
    return _key_given(arguments) or any(map(_protocol_folder, _folders(arguments)))


def sweep_by_protocol(arguments: Sequence[str]) -> None:
    """Do what a line asks of a protocol.

    Raises:
        ConfigError: For what was typed.
    """
    from optlab.protocol.follow import follow  # here: sweeps without a protocol need not wait
    from optlab.protocol.plan import plan
    from optlab.protocol.protocol import load
    from optlab.protocol.record import read_record

    if _key_given(arguments):
        line = read_line(arguments)
        protocol = load(line.protocol, line.config_folders)
        if "--resume" in line.flags and not is_followed(line.folder):
            raise ConfigError(f"no protocol is followed in {line.folder}: leave out --resume")
        (plan if "--plan" in line.flags else follow)(line, protocol)
        return
    folder = next(filter(None, map(_protocol_folder, _folders(arguments))))
    record = read_record(folder)
    if "--resume" not in arguments or len([word for word in arguments if word not in FLAGS]) > 1:
        raise ConfigError(
            f"{folder} follows protocol {record.protocol.title}: go on with "
            f"optlab sweep --resume {shlex.quote(str(folder))}, or choose another sweep.dir"
        )
    line = record.line(folder)
    _refuse_code(line)
    (plan if "--plan" in arguments else follow)(line, record.protocol)


def _protocol_folder(folder: Path) -> Path | None:
    """Return the folder of the protocol that a folder is, or is a stage of."""
    if is_followed(folder):
        return folder
    for place in (folder, folder.absolute()):
        for owner in filter(is_followed, place.parents[:2]):
            if place in stages(owner):
                return owner
    return None


def _folders(arguments: Sequence[str]) -> list[Path]:
    """Return the folders that a line names: to put runs into, or to resume."""
    words = [word for word in arguments if word.partition("=")[0] in FOLDER_KEYS and "=" in word]
    given = [str(override.value()) for override in parse(words)]
    if "--resume" in arguments:
        given += [word for word in arguments if not word.startswith("-") and Path(word).is_dir()]
    return [Path(each) for each in given]


def _key_given(arguments: Sequence[str]) -> bool:
    return any(word.startswith(f"{KEY}=") for word in arguments)


def _refuse_code(line: Line) -> None:
    if words := words_with_code(line.words):
        again = shlex.join(["optlab", "sweep", f"{KEY}={line.protocol}", *line.words])
        raise ConfigError(
            f"the protocol in {line.folder} was started with {', '.join(words)}, which runs code: "
            f"look at that code, then type the line yourself: {again} sweep.dir={line.folder}"
        )
