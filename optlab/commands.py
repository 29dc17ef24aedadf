"""The commands that leave results: ``train``, ``sweep`` and ``report``."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optlab.config import ConfigError
from optlab.saying import say, tell, warn
from optlab.usage import FAILED

if TYPE_CHECKING:
    from optlab.report.report import Told
    from optlab.reporting import Asked

#: Flags of Hydra that show something and train nothing.
ASKS = {"--help", "--cfg", "-c", "--hydra-help", "--info", "-i"}


def train(arguments: list[str]) -> int:
    """``optlab train``: Hydra does the rest."""
    from optlab.sweep.answer import answered
    from optlab.sweep.sweep_folder import SweepFolder

    if "--check-determinism" in arguments:
        return _check_determinism(arguments)
    with answered(arguments, _trained) as words:
        if "--resume" in words:
            from optlab.sweep.continuing import continue_run

            continue_run(words)
        else:
            from optlab.sweep.hydra_app import launch

            launch(words)
        return 0 if SweepFolder.latest is None else _summary(SweepFolder.latest)


def _trained() -> dict[str, Any] | None:
    """Return what ``optlab train --json`` says."""
    from optlab.report.summary import summary
    from optlab.sweep.answer import run_summary
    from optlab.sweep.sweep_folder import SweepFolder

    if SweepFolder.latest is not None:
        return summary(SweepFolder.latest)
    return None if SweepFolder.alone is None else run_summary(SweepFolder.alone)


def _check_determinism(arguments: list[str]) -> int:
    """``optlab train --check-determinism``: 1 if something differs."""
    from optlab.sweep.answer import answered
    from optlab.sweep.determinism import Finding, check_determinism

    found: list[Finding] = []
    with answered(arguments, lambda: found[0].summary() if found else None) as words:
        found += check_determinism([word for word in words if word != "--check-determinism"])
        for finding in found:
            tell(finding.text())
        return FAILED if any(finding.difference for finding in found) else 0


def sweep(arguments: list[str]) -> int:
    """``optlab sweep``: a multirun and its report."""
    from optlab.sweep.answer import answered

    if "--json" in arguments and {"--status", "--plan"} & set(arguments):
        raise ConfigError("--json tells of runs that were trained: leave out --plan and --status")
    if "--status" in arguments:
        from optlab.protocol.status import status

        words = [word for word in arguments if word != "--status"]
        print(status(folder_in(words, "sweep --status")))
        return 0

    with answered(arguments, _swept) as words:
        return _sweep(words)


def _swept() -> dict[str, Any] | None:
    """Return what ``optlab sweep --json`` says."""
    from optlab.report.summary import ranked_summary
    from optlab.reporting import asked, write_report
    from optlab.sweep.sweep_folder import SweepFolder

    folder = SweepFolder.latest
    if folder is None:
        return None
    try:
        told = write_report(replace(asked([str(folder)]), is_text=True), None)
    except ConfigError:  # stopped before any run has ended
        return ranked_summary(None, folder)
    return ranked_summary(told, folder)


def _sweep(arguments: list[str]) -> int:
    from optlab.dashboard import keep_current
    from optlab.protocol.command import concerns_protocol, sweep_by_protocol
    from optlab.sweep.command import FLAGS, multiruns, steady_products
    from optlab.sweep.hydra_app import launch
    from optlab.sweep.sweep_folder import SweepFolder

    steady_products(arguments)
    if concerns_protocol(arguments):
        sweep_by_protocol(arguments)
    else:
        lines = [arguments] if ASKS & set(arguments) else multiruns(arguments)
        if not lines:
            say("nothing of this sweep is missing")
            words = [word for word in arguments if word not in FLAGS]
            SweepFolder.latest = folder_in(words, "sweep")
            if (SweepFolder.latest / "report.html").exists():
                return 0  # else it was stopped before its report
        for line in lines:
            launch(line)
    if SweepFolder.latest is None:
        return 0
    lacks_report = _rank(SweepFolder.latest)
    keep_current(SweepFolder.latest)
    return FAILED if _summary(SweepFolder.latest) or lacks_report else 0


def _rank(folder: Path) -> bool:
    """Report a sweep at its end, and say whether there was no place for its files.

    Pictures, which take seconds, are made when they are asked for.
    """
    from optlab.reporting import asked
    from optlab.sweep.explain import explain

    question = asked([str(folder)])
    try:
        _report(question, pictures=False)
    except BrokenPipeError:  # the reader has what it wanted
        raise
    except OSError as error:
        warn(f"optlab sweep: the runs are kept, but not their report: {explain(error)}")
        _report(replace(question, is_text=True))
        return True
    return False


def _summary(folder: Path) -> int:
    from optlab.sweep.summary import summarize

    return FAILED if summarize(folder) else 0


def report(arguments: list[str]) -> int:
    """``optlab report DIR``."""
    from optlab.report.summary import ranked_summary
    from optlab.reporting import asked
    from optlab.sweep.answer import JSON, QUIET, answered

    question = asked([word for word in arguments if word not in (JSON, QUIET)])
    made: list[Told] = []
    with answered(arguments, lambda: ranked_summary(made[0] if made else None, *question.folders)):
        made.append(_report(question, is_json=JSON in arguments))
        return FAILED if made[0].damaged else 0


def _report(question: "Asked", pictures: bool = True, is_json: bool = False) -> "Told":
    from optlab.reporting import write_report

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    made = write_report(question, width, pictures)
    if not is_json:
        tell(made.text.removesuffix("\n"))
    return made


def folder_in(arguments: list[str], command: str) -> Path:
    """Return the one folder that a command was given.

    Raises:
        ConfigError: When it is not one, or does not exist.
    """
    if len(arguments) != 1:
        raise ConfigError(f"give one folder: optlab {command} DIR")
    folder = Path(arguments[0])
    if not folder.is_dir():
        raise ConfigError(f"no folder {arguments[0]!r}; give the folder of a run or of a sweep")
    return folder
