import math
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from optlab.records import RunRecord
from optlab.report.charts.styles import SETTINGS
from optlab.report.evidence import Evidence
from optlab.report.measures.curves import best_curves
from optlab.report.pictures.overview import draw, write_figure
from optlab.report.ranking import rank

MakeRun = Callable[..., RunRecord]


def sweep(
    make_run: MakeRun,
    optimizers: list[str],
    rates: list[float],
    metric: str = "accuracy",
    task: str = "digits",
) -> list[RunRecord]:
    """Make runs whose metric is best at a rate of 0.01; the highest rate diverges."""
    runs = []
    for name in optimizers:
        for lr in rates:
            lost = lr >= 1
            quality = 1 / (1 + math.log10(lr / 0.01) ** 2)
            value = quality if metric == "accuracy" else 1.1 - quality
            config = {"seed": 0, "task": {"name": task}, "optimizer": {"name": name, "lr": lr}}
            curve = [0.1, 0.5, value][: 2 if lost else 3]
            runs.append(
                make_run(
                    config,
                    val={} if lost else {metric: value},
                    status="diverged" if lost else "done",
                    curves={f"{metric}/val": curve},
                )
            )
    return runs


def write(path: Path, runs: list[RunRecord]) -> None:
    ranking = rank(runs)
    write_figure(path, ranking, best_curves(Evidence(runs, ranking)))


def drawn(runs: list[RunRecord]) -> Figure:
    ranking = rank(runs)
    return draw(ranking, best_curves(Evidence(runs, ranking)))


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
@pytest.mark.parametrize(
    ("optimizers", "rates"),
    [
        (["adam"], [0.01]),
        (["adam", "sgd"], [0.001, 0.01, 0.1, 1.0]),
        ([f"optimizer_{i}" for i in range(12)], [0.01]),
        (["adam", "sgd"], [1.0]),
    ],
    ids=["one run", "rates", "many optimizers", "all diverged"],
)
def test_figure_is_a_png_with_two_drawn_panels(
    make_run: MakeRun, tmp_path: Path, optimizers: list[str], rates: list[float], metric: str
) -> None:
    write(tmp_path / "report.png", sweep(make_run, optimizers, rates, metric))
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG\r\n")
    pixels = image.imread(tmp_path / "report.png")
    height, width = pixels.shape[:2]
    assert width == 1800
    assert 700 <= height <= 860  # with the lines that the legend needs
    for half in (pixels[:, : width // 2], pixels[:, width // 2 :]):
        # Ink of axes and labels at least, spread over the panel and not in a corner of it.
        rows, columns = np.nonzero(half[..., :3].min(axis=-1) < 0.5)
        assert np.ptp(rows) > 0.7 * height
        assert np.ptp(columns) > 0.7 * half.shape[1]


def test_figure_has_a_row_of_panels_for_each_task(make_run: MakeRun) -> None:
    figure = drawn([r for t in ("a", "b") for r in sweep(make_run, ["adam"], [0.01], task=t)])
    assert [row.get_suptitle() for row in figure.subfigs] == ["a", "b"]
    assert [len(row.axes) for row in figure.subfigs] == [2, 2]


def test_figure_says_how_many_tasks_it_leaves_out(make_run: MakeRun) -> None:
    tasks = [f"task_{i}" for i in range(7)]
    figure = drawn([r for t in tasks for r in sweep(make_run, ["adam"], [0.01], task=t)])
    assert len(figure.subfigs) == 4
    assert figure.get_supxlabel() == "... and 3 more groups in report.csv"


def test_legend_names_the_best_cell_of_each_optimizer_the_best_first(make_run: MakeRun) -> None:
    (row,) = drawn(sweep(make_run, ["adam", "sgd", "nag"], [0.001, 0.01])).subfigs
    (legend,) = row.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["adam, lr=0.01", "nag, lr=0.01", "sgd, lr=0.01"]


def test_an_optimizer_looks_the_same_in_every_panel_of_every_task(make_run: MakeRun) -> None:
    names = {"digits": ["adam", "nag", "sgd"], "moons": ["nag", "sgd"]}
    runs = [r for t, n in names.items() for r in sweep(make_run, n, [0.001, 0.01], task=t)]
    looks = []
    for row, optimizers in zip(drawn(runs).subfigs, names.values(), strict=True):
        for axes in row.axes:
            # Equally good, so ranked by name; the best is drawn last.
            lines = zip(reversed(optimizers), axes.lines, strict=True)
            looks.append({n: (line.get_color(), line.get_marker()) for n, line in lines})
    for look in looks[1:]:
        assert look.items() <= looks[0].items()


def test_nothing_is_cut_off_and_the_legend_is_below_the_panels(make_run: MakeRun) -> None:
    runs = sweep(make_run, [f"long_name_{i}" for i in range(9)], [0.001, 0.01, 1.0], "loss")
    with matplotlib.rc_context(SETTINGS):
        figure = drawn(runs)
        figure.draw_without_rendering()
    (row,) = figure.subfigs
    legend = row.legends[0].get_window_extent()
    panels = [axes.get_tightbbox() for axes in row.axes]
    left, bottom, width, height = figure.bbox.bounds
    for box in (legend, *panels):
        assert box.x0 >= left
        assert box.x1 <= left + width
        assert box.y0 >= bottom
        assert box.y1 <= bottom + height
    assert legend.y1 <= min(box.y0 for box in panels)
    assert panels[0].x1 <= panels[1].x0


def test_drawing_changes_no_global_style(make_run: MakeRun, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    write(tmp_path / "report.png", sweep(make_run, ["adam"], [0.01], "loss"))
    assert dict(matplotlib.rcParams) == before


def test_the_same_tables_give_the_same_bytes(make_run: MakeRun, tmp_path: Path) -> None:
    runs = sweep(make_run, ["adam", "sgd"], [0.01, 0.1])
    for name in ("a.png", "b.png"):
        write(tmp_path / name, runs)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_each_task_has_the_axes_of_its_own_metric(make_run: MakeRun) -> None:
    runs = [
        r
        for m in ("accuracy", "loss")
        for r in sweep(make_run, ["adam"], [0.01], m, task=f"by {m}")
    ]
    labels = [row.axes[0].get_ylabel() for row in drawn(runs).subfigs]
    assert labels == ["validation accuracy", "validation loss"]


def test_a_task_of_which_no_run_is_done_has_no_panels(make_run: MakeRun) -> None:
    runs = sweep(make_run, ["adam", "sgd"], [0.01, 0.1], task="good")
    runs.append(make_run({"seed": 0, "task": {"name": "bad"}}, status="failed"))
    assert len(drawn(runs).subfigs) == 1
