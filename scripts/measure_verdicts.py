"""How often verdicts miss a planted fault, and how often they are given to sound runs.

Trains the grid of `verdict_grid` by the ordinary sweep, at seeds at which no threshold was set
(those were set at seeds 0 and 1), and compares the verdicts of every run with what was planted:

    found   runs of a plot that get the verdict that it plants, of all its runs
    alarms  sound runs that get the verdict although nothing was planted, of all sound runs

with Wilson intervals of 95 %. A run of a sound plot that does not end where such runs should is
left out, and counted. What else planted runs get is listed by plot and not judged: a fault brings
others with it.

    python scripts/measure_verdicts.py [--seeds 10 11 12] [--out experiments/verdicts]
        [--folder FOLDER of the sweeps, kept; trained runs in it are not trained again]
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from scipy.stats import binomtest
from verdict_grid import PLANTED, SOUND, Plot

from optlab.diagnostics.verdicts import RULES
from optlab.environment import environment
from optlab.records import collect
from optlab.results import RunResult, write_json

EPOCHS = "trainer.epochs=20"  # of plots that say nothing else
BEGIN, END = "<!-- measured -->", "<!-- end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22])
    parser.add_argument("--out", type=Path, default=Path("experiments/verdicts"))
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        results = {p.name: trained(p, chosen.seeds, folder) for p in (*PLANTED, *SOUND)}
    measured = summary(results) | {"seeds": chosen.seeds, "machine": environment("cpu")}
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_json(chosen.out / "results.json", measured)
    write_tables(chosen.out / "README.md", tables(measured))
    print(tables(measured))


def trained(plot: Plot, seeds: Sequence[int], folder: Path) -> list[RunResult]:
    """Train a plot's runs, and return their results."""
    own = folder / plot.name
    epochs = [] if "trainer.epochs" in plot.line else [EPOCHS]
    seed = f"seed={','.join(map(str, seeds))}"
    line = [*plot.line.split(), *epochs, seed, "logger=none", f"sweep.dir={own}"]
    print(plot.name, file=sys.stderr, flush=True)
    subprocess.run(
        [sys.executable, "-m", "optlab", "sweep", *line], check=True, capture_output=True
    )
    return [record.result for record in collect(own)]


def summary(results: dict[str, list[RunResult]]) -> dict:
    """Return rates by verdict, and what the runs of every plot got."""
    sound = [r for plot in SOUND for r in results[plot.name] if is_sound(plot, r)]
    return {
        "planted runs": sum(len(results[plot.name]) for plot in PLANTED),
        "sound runs": len(sound),
        "left out": sum(len(results[plot.name]) for plot in SOUND) - len(sound),
        "sound runs with any verdict": rate(sum(bool(r.verdicts) for r in sound), len(sound)),
        "verdicts": {name: of_verdict(name, results, sound) for name in RULES},
        "plots": {p.name: of_plot(p, results[p.name]) for p in (*PLANTED, *SOUND)},
    }


def is_sound(plot: Plot, result: RunResult) -> bool:
    """Say whether a run of a sound plot ended where such runs should."""
    if plot.sound > 0:
        return result.status == "done" and result.val["accuracy"] >= plot.sound
    return result.status == "done" and result.val["loss"] <= -plot.sound


def of_verdict(name: str, results: dict[str, list[RunResult]], sound: Sequence[RunResult]) -> dict:
    planted = [r for plot in PLANTED if plot.planted == name for r in results[plot.name]]
    return {
        "found": rate(sum(has(name, r) for r in planted), len(planted)),
        "alarms": rate(sum(has(name, r) for r in sound), len(sound)),
    }


def of_plot(plot: Plot, results: Sequence[RunResult]) -> dict:
    counts = Counter(verdict.name for result in results for verdict in result.verdicts)
    return {
        "line": plot.line,
        "planted": plot.planted,
        "runs": len(results),
        "verdicts": dict(counts.most_common()),
    }


def has(name: str, result: RunResult) -> bool:
    return any(verdict.name == name for verdict in result.verdicts)


def rate(count: int, total: int) -> dict:
    """Return a share with its Wilson interval of 95 %."""
    interval = binomtest(count, total).proportion_ci(method="wilson")
    return {"count": count, "of": total, "low": interval.low, "high": interval.high}


def tables(measured: dict) -> str:
    """Return the tables of the README."""
    return "\n".join([*of_rates(measured), "", *of_plots(measured)])


def of_rates(measured: dict) -> Iterator[str]:
    either = measured["sound runs with any verdict"]
    yield (
        f"{measured['planted runs']} runs with a planted fault, {measured['sound runs']} sound "
        f"ones ({measured['left out']} more did not end as sound runs should and are left out), "
        f"seeds {', '.join(map(str, measured['seeds']))}; of the sound ones {either['count']} have "
        f"some verdict ({interval(either)})."
    )
    yield ""
    yield "| verdict | planted | found | missed, 95 % interval | false alarms, 95 % interval |"
    yield "|---|---|---|---|---|"
    for name, own in measured["verdicts"].items():
        found, alarms = own["found"], own["alarms"]
        missed = rate(found["of"] - found["count"], found["of"])
        yield (
            f"| `{name}` | {found['of']} | {found['count']} | {interval(missed)} "
            f"| {alarms['count']} of {alarms['of']}, {interval(alarms)} |"
        )


def of_plots(measured: dict) -> Iterator[str]:
    yield "| plot | runs | planted | verdicts given |"
    yield "|---|---|---|---|"
    for name, plot in measured["plots"].items():
        given = ", ".join(f"{verdict} {count}" for verdict, count in plot["verdicts"].items())
        yield f"| {name} | {plot['runs']} | {plot['planted'] or '-'} | {given or '-'} |"


def interval(rate: dict) -> str:
    share = rate["count"] / rate["of"]
    return f"{share:.1%} ({rate['low']:.1%} to {rate['high']:.1%})"


def write_tables(path: Path, text: str) -> None:
    """Put the tables between their marks in the README, or at its end."""
    old = path.read_text() if path.exists() else f"# Verdicts\n\n{BEGIN}\n{END}\n"
    before, _, rest = old.partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
