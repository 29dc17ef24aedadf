"""A plan in words, for a terminal of 80 columns. The same plan gives the same text."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from optlab.identity import OUTCOME_FREE, flatten
from optlab.records import differing
from optlab.sweep.planned import PlannedRun
from optlab.sweep.program import Plan, Program

WIDTH = 80

#: Values of an option, and names of single runs, that are shown; of more the text says how many.
FEW_VALUES, FEW_NAMES = 8, 3

#: Programs that have a row.
MOST_ROWS = 100

COLUMNS = "program   runs  engine    arrays           a run      array"
UNDER = " " * len("program  ")


def render_plan(plan: Plan) -> str:
    """Return the plan: its programs, what varies in each, and who trains singly and why.

    A run's memory is what each run of an array adds, an array's that of the largest one.
    """
    lines = [_summary(plan), *_table(plan)]
    for numbers, options in _varying(plan):
        lines += ["", *_wrapped(_in_programs(numbers, plan) + ":", "  ")]
        for key, values in options.items():
            lines += _wrapped(f"  {_typed(key)}: {values}", "    ")
    lines += _singles(plan)
    return "\n".join(lines) + "\n"


def size(num_bytes: float) -> str:
    """Return a number of bytes in a unit that leaves at most three digits before the point."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if num_bytes < 999.95:
            return f"{num_bytes:.0f} B" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:.1f} TiB"


def _summary(plan: Plan) -> str:
    stacked = [program for program in plan.programs if program.engine != "single"]
    alone = plan.num_runs - sum(len(program.runs) for program in stacked)
    parts = [_plural(len(stacked), "stacked program")] if stacked else []
    parts += [f"{alone:,} trained singly"] if alone else []
    return ", ".join([_plural(plan.num_runs, "run"), *parts])


def _table(plan: Plan) -> list[str]:
    """Return a row for each program; what sets them apart stands behind, or below where long."""
    shown, rest = plan.programs[:MOST_ROWS], plan.programs[MOST_ROWS:]
    rows, apart = [_row(program) for program in shown], _apart(shown)
    room = WIDTH - len(COLUMNS) - 2
    if not rows:
        return []
    if max(map(len, apart)) <= room:
        behind = "  set apart by" if any(apart) else ""
        pairs = zip(rows, apart, strict=True)
        lines = ["", COLUMNS + behind, *(f"{row}  {text}".rstrip() for row, text in pairs)]
    else:
        lines = ["", COLUMNS]
        for row, text in zip(rows, apart, strict=True):
            lines += [row, *_wrapped(UNDER + text, UNDER)]
    if rest:
        runs = sum(len(program.runs) for program in rest)
        lines.append(f"and {_plural(len(rest), 'more program')} of {_plural(runs, 'run')}")
    return lines


def _row(program: Program) -> str:
    of_run = of_array = "-"
    if program.footprint is not None:
        of_run = size(program.footprint.run)
        of_array = size(program.footprint.of(max(program.arrays)))
    return (
        f"{program.number:>7} {len(program.runs):>6}  {program.engine:<8}  "
        f"{_arrays(program.arrays):<12} {of_run:>9}  {of_array:>9}"
    )


def _arrays(sizes: Sequence[int]) -> str:
    return f"{len(sizes)} of {_range(min(sizes), max(sizes))}"


def _apart(programs: Sequence[Program]) -> list[str]:
    """Return what sets each program apart, keys as short as in the names of run folders."""
    keys = list(dict.fromkeys(key for program in programs for key in program.apart))
    lasts = Counter(_typed(key).rpartition(".")[2] for key in keys)

    def short(key: str) -> str:
        last = _typed(key).rpartition(".")[2]
        return last if lasts[last] == 1 else _typed(key)

    return [
        ", ".join(f"{short(key)}={_value(value)}" for key, value in program.apart.items())
        for program in programs
    ]


def _varying(plan: Plan) -> list[tuple[list[int], dict[str, str]]]:
    """Return what varies inside programs, once for all in which the same options do."""
    alike: dict[tuple[str, ...], list[tuple[int, dict[str, list[str]]]]] = {}
    for program in plan.programs:
        options = varying_options(program.runs)
        if options:
            alike.setdefault(tuple(options), []).append((program.number, options))
    return [
        (
            [number for number, _ in members],
            {key: _values([options[key] for _, options in members]) for key in keys},
        )
        for keys, members in alike.items()
    ]


def _values(lists: Sequence[list[str]]) -> str:
    """Return the values of an option in several programs, and how many each has of them."""
    union = list(dict.fromkeys(value for values in lists for value in values))
    counts = sorted({len(values) for values in lists})
    if counts == [len(union)]:
        return _listing(union, FEW_VALUES)
    return f"{_listing(union, FEW_VALUES)} ({_range(counts[0], counts[-1])} in each)"


def varying_options(runs: Sequence[PlannedRun]) -> dict[str, list[str]]:
    """Return the options in which runs differ and each one's values, in order of appearance."""
    found: dict[str, list[str]] = {}
    for name in runs[0].config:
        if name in OUTCOME_FREE:
            continue
        sections = {repr(run.config[name]): run.config[name] for run in runs}
        tables = [flatten({name: section}) for section in sections.values()]
        for key in sorted(differing(tables), key=_typed) if len(tables) > 1 else ():
            values = (_value(table[key]) for table in tables if key in table)
            found[key] = list(dict.fromkeys(values))
    return found


def _in_programs(numbers: Sequence[int], plan: Plan) -> str:
    if len(numbers) == len(plan.programs):
        return "varying in every program" if len(numbers) > 1 else "varying"
    return f"varying in {_programs(numbers)}"


def _programs(numbers: Sequence[int]) -> str:
    """Return ascending numbers such as ``"programs 1-3, 5"``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    words = ", ".join(_range(low, high) for low, high in ranges)
    return f"program{'s' if len(numbers) > 1 else ''} {words}"


def _singles(plan: Plan) -> list[str]:
    """Return the runs that are not stacked, by reason."""
    reasons: dict[str, list[Program]] = {}
    for program in plan.programs:
        if program.engine == "single":
            reasons.setdefault(program.reason, []).append(program)
    lines: list[str] = []
    for reason, programs in reasons.items():
        numbers = [program.number for program in programs]
        lines += ["", *_wrapped(f"singly, {_programs(numbers)}: {reason}", "  ")]
        names = [run.name for program in programs for run in program.runs]
        lines += [line for name in names[:FEW_NAMES] for line in _wrapped(f"  {name}", "    ")]
        lines += [f"  and {len(names) - FEW_NAMES:,} more"] if len(names) > FEW_NAMES else []
    return lines


def _range(low: int, high: int) -> str:
    return f"{low}-{high}" if low < high else f"{low}"


def _listing(words: Sequence[str], few: int) -> str:
    more = len(words) - few
    return ", ".join(words[:few]) + (f" and {more:,} more" if more > 0 else "")


def _wrapped(text: str, indent: str) -> list[str]:
    """Return the lines of a text; all but the first begin with ``indent``."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _typed(key: str) -> str:
    """Return a dotted option as it is typed: the name of a section is the section's own value."""
    return key.removesuffix(".name")


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
