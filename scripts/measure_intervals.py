"""How often intervals cover the truth, and how often tests see a difference where there is none.

Simulates sweeps whose truth is known, and calls what a report calls:

    mean          `mean_interval` of one cell's runs, `share_interval` of accuracies
    IQM           `iqm_interval` over tasks, beside the plain percentile bootstrap
    improvement   `improvement` of two methods over tasks, beside the percentile bootstrap
    differences   `p_values` of the best cells of optimizers that are all alike: the share of
                  sweeps in which any of them is said to differ from the best

    python scripts/measure_intervals.py [--sweeps 2000] [--out experiments/statistics]
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from optlab.report.measures.pairs import LEVEL, p_values
from optlab.results import write_json
from optlab.statistics.improvement import improvement, probability
from optlab.statistics.intervals import Interval, iqm, iqm_interval, mean_interval, share_interval
from optlab.statistics.multiplicity import holm
from optlab.statistics.paired import differences, sign_flip_p

Array = np.ndarray
Draw = Callable[[np.random.Generator, int, int], Array]

RESAMPLES = 500
LARGE = 200_000  # values of a task that stand for all
BEGIN, END = "<!-- measured -->", "<!-- end -->"
LOW, HIGH = 0.93, 0.97


def normal(rng: np.random.Generator, task: int, n: int) -> Array:
    """Levels one apart, spreads from 0.5 to 2."""
    return task + (0.5, 1.0, 2.0)[task % 3] * rng.normal(size=n)


def skewed(rng: np.random.Generator, task: int, n: int) -> Array:
    """Losses that spread by 30 % (lognormal)."""
    return np.exp(0.2 * task + 0.3 * rng.normal(size=n))


def heavy(rng: np.random.Generator, task: int, n: int) -> Array:
    """Losses that spread over a factor of 50 (lognormal with a standard deviation of 1)."""
    return np.exp(0.2 * task + rng.normal(size=n))


def bounded(rng: np.random.Generator, task: int, n: int) -> Array:
    """Accuracies on 360 rows near 1, about twice as far apart as rows alone would make them."""
    mean = 0.985 - 0.015 * (task % 3)
    return rng.binomial(360, rng.beta(120 * mean, 120 * (1 - mean), size=n)) / 360


CASES: dict[str, Draw] = {
    "normal": normal,
    "skewed": skewed,
    "bounded": bounded,
    "heavy-tailed": heavy,
}
SEEDS, TASKS = (3, 5, 10, 20), (1, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("experiments/statistics"))
    chosen = parser.parse_args()
    measured = {
        "sweeps": chosen.sweeps,
        "means": [of_mean(case, n, chosen.sweeps) for case, n in product(CASES, SEEDS)],
        "iqms": [of_iqm(*at, chosen.sweeps) for at in product(CASES, TASKS, SEEDS)],
        "improvements": [
            of_improvement(*at, chosen.sweeps) for at in product((0.0, 1.0, 2.5), (1, 4), SEEDS)
        ],
        "differences": [
            of_differences(*at, chosen.sweeps) for at in product((3, 9), (1, 4), (5, 10, 20))
        ],
    }
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_json(chosen.out / "coverage.json", measured)
    text = "\n".join(tables(measured))
    readme = chosen.out / "README.md"
    if readme.exists():
        before, _, rest = readme.read_text().partition(BEGIN)
        readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    print(text)


def of_mean(case: str, n: int, sweeps: int) -> dict:
    rng = np.random.default_rng(1)
    truth = float(CASES[case](np.random.default_rng(0), 0, 20 * LARGE).mean())
    interval = share_interval if case == "bounded" else mean_interval
    drawn = [CASES[case](rng, 0, n) for _ in range(sweeps)]
    return {
        "case": case,
        "seeds": n,
        "optlab": covered([interval(values) for values in drawn], truth),
        "percentile": covered(
            [percentile(rng, [v], lambda x: x.mean(axis=1)) for v in drawn], truth
        ),
    }


def of_iqm(case: str, tasks: int, n: int, sweeps: int) -> dict:
    print("IQM", case, tasks, n, file=sys.stderr, flush=True)
    rng, fixed = np.random.default_rng(2), np.random.default_rng(0)
    draw = CASES[case]
    truth = float(iqm(np.concatenate([draw(fixed, task, LARGE) for task in range(tasks)])))
    drawn = [[draw(rng, task, n) for task in range(tasks)] for _ in range(sweeps)]
    return {
        "case": case,
        "tasks": tasks,
        "seeds": n,
        "optlab": covered([iqm_interval(strata, RESAMPLES) for strata in drawn], truth),
        "percentile": covered([percentile(rng, strata, iqm) for strata in drawn], truth),
    }


def of_improvement(ahead: float, tasks: int, n: int, sweeps: int) -> dict:
    """Two normal methods of which the first is ahead by so many standard deviations, or half."""
    rng, fixed = np.random.default_rng(3), np.random.default_rng(0)
    shifts = ahead * np.linspace(0.5, 1.5, tasks) if tasks > 1 else np.array([ahead])
    many = fixed.normal(size=(2, LARGE))
    truth = float(np.mean([(many[0] - shift < many[1]).mean() for shift in shifts]))
    first = rng.normal(size=(sweeps, tasks, n)) - shifts[:, None]
    second = rng.normal(size=(sweeps, tasks, n))
    found = [improvement([*a], [*b]) for a, b in zip(first, second, strict=True)]
    plain = [resampled(rng, a, b) for a, b in zip(first[:400], second[:400], strict=True)]
    return {
        "probability": truth,
        "tasks": tasks,
        "seeds": n,
        "optlab": covered(found, truth),
        "percentile": covered(plain, truth),
    }


def of_differences(optimizers: int, cells: int, n: int, sweeps: int) -> dict:
    """Optimizers that are alike, with runs that share half of their luck by seed."""
    print("differences", optimizers, cells, n, file=sys.stderr, flush=True)
    rng = np.random.default_rng(4)
    whole = few = 0
    for _ in range(sweeps):
        values = rng.normal(size=(optimizers, cells, n)) + rng.normal(size=n)
        best = values[np.arange(optimizers), values.mean(axis=2).argmin(axis=1)]
        lead = int(best.mean(axis=1).argmin())
        found = p_values({str(i): dict(enumerate(own)) for i, own in enumerate(best)})
        whole += any(q <= LEVEL for pair, (_, q) in found.items() if str(lead) in pair)
        others = np.delete(best, lead, axis=0)
        bare = np.array([sign_flip_p(differences(own, best[lead])) for own in others])
        few += bool((holm(bare) <= LEVEL).any())
    return {
        "optimizers": optimizers,
        "cells": cells,
        "seeds": n,
        "optlab": rate(whole, sweeps),
        "only with the best": rate(few, sweeps),
    }


def percentile(
    rng: np.random.Generator, strata: Sequence[Array], statistic: Callable[[Array], Array]
) -> Interval:
    """Return the plain percentile interval of a stratified bootstrap."""
    drawn = [own[rng.integers(len(own), size=(RESAMPLES, len(own)))] for own in strata]
    return Interval(0.0, *np.quantile(statistic(np.concatenate(drawn, axis=1)), [0.025, 0.975]))


def resampled(rng: np.random.Generator, first: Array, second: Array) -> Interval:
    """Return the percentile interval of the probability of improvement."""
    n = first.shape[1]
    values = [
        np.mean(
            [
                probability(a[rng.integers(n, size=n)], b[rng.integers(n, size=n)])
                for a, b in zip(first, second, strict=True)
            ]
        )
        for _ in range(200)
    ]
    return Interval(0.0, *np.quantile(values, [0.025, 0.975]))


def covered(found: Sequence[Interval], truth: float) -> dict:
    # Rounding of a sum of equal values is no miss; an interval that is nan is one.
    hits = sum(each.low - 1e-12 <= truth <= each.high + 1e-12 for each in found)
    return rate(hits, len(found))


def rate(count: int, total: int) -> dict:
    """Return a share with its Wilson interval of 95 %."""
    interval = binomtest(int(count), total).proportion_ci(method="wilson")
    return {"share": count / total, "of": total, "low": interval.low, "high": interval.high}


def tables(measured: dict) -> Iterator[str]:
    """Return the tables of the README; what is outside 93 to 97 % is in bold."""
    yield f"Coverage of 95 % intervals over {measured['sweeps']} sweeps; bold is outside 93-97 %."
    yield ""
    yield "| values | tasks | " + " | ".join(f"{n} seeds" for n in SEEDS) + " | percentile |"
    yield "|---|---|" + "---|" * (len(SEEDS) + 1)
    for case in CASES:
        rows = [row for row in measured["means"] if row["case"] == case]
        yield f"| {case}: mean | 1 | {cells([row['optlab'] for row in rows])} | {plain(rows)} |"
    for case, tasks in product(CASES, TASKS):
        rows = [r for r in measured["iqms"] if (r["case"], r["tasks"]) == (case, tasks)]
        yield (
            f"| {case}: IQM | {tasks} | {cells([row['optlab'] for row in rows])} | {plain(rows)} |"
        )
    for start in range(0, len(measured["improvements"]), len(SEEDS)):
        rows = measured["improvements"][start : start + len(SEEDS)]
        yield (
            f"| probability of improvement {rows[0]['probability']:.2f} | {rows[0]['tasks']} "
            f"| {cells([row['optlab'] for row in rows])} | {plain(rows)} |"
        )
    yield ""
    yield "Sweeps of optimizers that are alike in which any is said to differ from the best:"
    yield ""
    yield "| optimizers | cells of each | seeds | Holm over all pairs | Holm over the best's own |"
    yield "|---|---|---|---|---|"
    for row in measured["differences"]:
        whole, few = row["optlab"]["share"], row["only with the best"]["share"]
        yield (
            f"| {row['optimizers']} | {row['cells']} | {row['seeds']} | {whole:.1%} | {few:.1%} |"
        )


def cells(rates: Sequence[dict]) -> str:
    return " | ".join(
        f"{own['share']:.1%}" if LOW <= own["share"] <= HIGH else f"**{own['share']:.1%}**"
        for own in rates
    )


def plain(rows: Sequence[dict]) -> str:
    return ", ".join(f"{row['percentile']['share']:.0%}" for row in rows)


if __name__ == "__main__":
    main()
