"""Run the fenced code blocks of a Markdown page, so that what it shows is what happens.

A block runs by its language, all in one folder: ``python`` as a program of its own, ``bash`` as a
script; ``yaml`` is parsed and ``text`` is for reading. The comment ``<!-- file: NAME -->`` before a
block writes it to that file before anything runs, so that a command of the page can use it.

Lines of ``bash`` that cannot run as they stand have a stand-in: the test suite is not started from
within itself, the demo is made small, a server is asked for its page and stopped.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TIME_LIMIT_S = 300
SMALL = "trainer.epochs=1 optimizer.lr=0.01 seed=0,1"
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
FILE_COMMENT = re.compile(r"<!-- file: (\S+) -->\s*\Z")
ADDRESS = re.compile(r"http://[^\s/]+:\d+/")


class BlockError(AssertionError):
    """A block does not do what the page says."""


@dataclass(frozen=True)
class Block:
    """A fenced block: language, text, the line it starts on, and the file that it shows."""

    language: str
    code: str
    line: int
    file: str | None = None


def blocks_of(text: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text in order."""
    found = []
    for fence in FENCE.finditer(text):
        comment = FILE_COMMENT.search(text[: fence.start()])
        line = text.count("\n", 0, fence.start()) + 2
        found.append(Block(fence[1], fence[2], line, comment[1] if comment else None))
    return found


def prepare(folder: Path, blocks: list[Block]) -> None:
    """Lay out ``folder`` like a checkout, for reading, with the files that the blocks show."""
    (folder / "scripts").symlink_to(ROOT / "scripts")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    for block in blocks:
        if block.file is not None:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code)


def run_block(block: Block, folder: Path) -> None:
    """Run one block in ``folder``.

    Raises:
        BlockError: With what it printed, when it fails, or when nothing can run its language.
    """
    if block.language == "python":
        _run([sys.executable, "-W", "error", "-c", block.code], folder)
    elif block.language == "bash":
        for lines, runner in _stretches(block.code):
            runner(lines, folder)
    elif block.language == "yaml":
        _parse(block.code)
    elif block.language != "text":
        raise BlockError(f"no way to run a block of language {block.language!r}")


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(
        command,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT_S,
    )
    if result.returncode != 0:
        raise BlockError(f"exit code {result.returncode} after printing:\n{result.stdout}")


def _environment() -> dict[str, str]:
    """Return an environment in which this interpreter's commands come first and suffice."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "OPTLAB_PYTHON": sys.executable, "PYTHONUNBUFFERED": "1"}


def _parse(text: str) -> None:
    try:
        yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BlockError(str(error)) from error


Runner = Callable[[str, Path], None]


def _stretches(script: str) -> list[tuple[str, Runner]]:
    """Split a script into stretches of ordinary commands and single commands with a stand-in."""
    stretches: list[tuple[str, Runner]] = []
    for command in re.findall(r"(?:[^\n]*\\\n)*[^\n]*\n", script):
        runner = next(
            (run for start, run in STAND_INS.items() if command.startswith(start)), _shell
        )
        if runner is _shell and stretches and stretches[-1][1] is _shell:
            command = stretches.pop()[0] + command
        stretches.append((command, runner))
    return stretches


def _shell(commands: str, folder: Path) -> None:
    _run(["bash", "-euo", "pipefail", "-c", commands], folder)


def _check_script(command: str, folder: Path) -> None:
    _run(["bash", "-n", command.split()[1]], folder)


def _small_demo(command: str, folder: Path) -> None:
    _shell(f"{_without_comment(command)} {SMALL}", folder)


def _ask_server(command: str, folder: Path) -> None:
    """Start a server on a free port, fetch the page at the address it prints, and stop it."""
    command = re.sub(r"--port[ =]\d+", "--port 0", _without_comment(command))
    server = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    watchdog = threading.Timer(TIME_LIMIT_S, os.killpg, (server.pid, signal.SIGKILL))
    watchdog.start()
    try:
        printed = ""
        for line in server.stdout:
            printed += line
            if address := ADDRESS.search(line):
                without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                without_proxy.open(address[0], timeout=30).close()
                return
        raise BlockError(f"the server gave no address, but:\n{printed}")
    finally:
        watchdog.cancel()
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.communicate()


def _without_comment(command: str) -> str:
    return command.partition(" #")[0].strip()


STAND_INS: dict[str, Runner] = {
    "bash scripts/test.sh": _check_script,
    "bash scripts/demo.sh": _small_demo,
    "tensorboard ": _ask_server,
    "optlab board ": _ask_server,
}
