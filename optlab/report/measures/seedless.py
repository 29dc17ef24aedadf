"""Cells in which seeds change nothing: their runs are copies of one another, and no sample."""

from optlab.records import RunRecord
from optlab.report.cells import Cell, identity
from optlab.report.evidence import Evidence


def is_seedless(evidence: Evidence, cell: Cell) -> bool:
    """Say whether seeds change nothing in a cell, so that one run says all there is.

    Runs show it where two or more came to their end: they agree in every value. Fewer runs cannot
    show it, and then it is known of a test function without noise.
    """
    ended = [run for run in evidence.of(cell) if run.result.status in ("done", "diverged")]
    if cell.done and len(ended) > 1:
        return len({_outcome(run) for run in ended}) == 1
    return _is_exact(evidence, cell)


def _outcome(run: RunRecord) -> str:
    """Return a text that is equal where runs ended alike, to the last bit; a nan equals itself."""
    result = run.result
    values = [sorted(split.items()) for split in (result.train, result.val, result.test)]
    return repr((result.status, values))


def _is_exact(evidence: Evidence, cell: Cell) -> bool:
    """Say whether a cell is of a test function without noise."""
    options = evidence.runs[identity(cell.key)][0].options
    return options.get("model.name") == "point" and not options.get("task.noise")
