"""A figure of each kind."""

from dataclasses import replace

import numpy as np

from optlab.report.charts import (
    Axis,
    Chart,
    Field,
    Figure,
    Heatmap,
    Mark,
    Panels,
    Parallel,
    Series,
    Views,
)
from optlab.report.charts.styles import styles

OPTIMIZERS = ("adam", "adamw", "lion", "momentum", "muon", "rmsprop", "sgd", "shampoo")
#: What could break out of HTML, of a script, or of plotly's texts.
HOSTILE = '</script><!-- <b onclick="alert(\'x\')">\u2028 & $x$ %{y} <a href="http://x.example">'
LOOKS = styles(OPTIMIZERS)


def learning_curves(name: str = "curves", count: int = 8) -> Chart:
    """Accuracy by epoch with bands, one of which has a gap; a series is hidden at first."""
    epochs = np.arange(41.0)
    series = []
    for place, optimizer in enumerate(OPTIMIZERS[:count]):
        mean = 0.99 - 0.004 * place - 0.85 * np.exp(-epochs / (2 + place))
        spread = 0.03 * np.exp(-epochs / 10)
        mean[20 + place] = np.nan if place == 1 else mean[20 + place]
        low, high = mean - spread, np.minimum(mean + spread, 1)
        look = LOOKS[optimizer]
        series.append(
            Series(optimizer, epochs, mean, low, high, look=look, is_shown=place < count - 1)
        )
    return Chart(
        name,
        "Learning curves",
        "Mean over seeds; the band goes from the lowest to the highest.",
        Axis("epoch"),
        Axis("validation accuracy", "odds"),
        tuple(series),
        x_can_be_log=True,
    )


def losses(name: str = "losses") -> Chart:
    """Loss by learning rate, infinite at the largest, with a switch to a logarithm."""
    rates = np.array([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    series = []
    for place, optimizer in enumerate(OPTIMIZERS[:4]):
        values = 0.1 * (place + 1) + np.abs(np.log10(rates) + 2) ** 2
        values[4 if place % 2 else 3 :] = np.inf
        low, high = values * 0.8, values * 1.3
        series.append(Series(optimizer, rates, values, low, high, look=LOOKS[optimizer]))
    marks = (Mark(1e-2, "x", "default"), Mark(2.3, "y", "loss of guessing"))
    x, y = Axis("learning rate", "log"), Axis("validation loss (nats)", "linear")
    caption = "A cross: not every seed ended well."
    return Chart(name, "Sensitivity", caption, x, y, tuple(series), marks, can_be_log=True)


def intervals() -> Chart:
    """A point with an interval for each cell, one of which has no end and one no place."""
    names = tuple(
        f"{name}, lr={10.0**-i:g}, activation=relu, init=kaiming"
        for i, name in enumerate(OPTIMIZERS)
    )
    places = np.arange(8.0)
    means = np.array([0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.9, np.inf])
    right = means + 0.1
    right[5] = np.inf
    series = tuple(
        Series(
            "",
            means[[i]],
            places[[i]],
            left=means[[i]] - 0.08,
            right=right[[i]],
            look=LOOKS[optimizer],
            kind="points",
            texts=(f"{optimizer}: {means[i]:g}",),
        )
        for i, optimizer in enumerate(OPTIMIZERS)
    )
    x, y = Axis("validation loss (nats)"), Axis("", "names", names)
    return Chart("intervals", "Cells", "Mean and 95 % interval.", x, y, series)


def steps() -> Chart:
    """A performance profile."""
    ratios = np.array([1, 1.5, 2, 3, 4.0])
    shares = [np.array([0.5, 0.7, 0.8, 1, 1]), np.array([0.5, 0.5, 0.6, 0.6, 0.8])]
    series = tuple(
        Series(
            name,
            ratios,
            share,
            share - 0.1,
            np.minimum(share + 0.1, 1),
            look=LOOKS[name],
            kind="steps",
        )
        for name, share in zip(OPTIMIZERS, shares, strict=False)
    )
    x, y = Axis("steps, as a multiple of the fewest"), Axis("share of tasks", ends=(0, 1.02))
    return Chart("profile", "Performance profile", "Higher is better.", x, y, series)


def contours() -> Chart:
    """A path over the contours of Rosenbrock's function."""
    x, y = np.linspace(-2, 2, 60), np.linspace(-1, 3, 50)
    values = (1 - x) ** 2 + 100 * (y[:, None] - x**2) ** 2
    t = np.linspace(0, 1, 30)
    path = Series("adam", -1.5 + 2.5 * t, 2 - 3 * t * (1 - t) - t, look=LOOKS["adam"])
    other = Series("sgd", -1.5 + 1.5 * t, 2 - 2 * t, look=LOOKS["sgd"])
    behind = Field(x, y, values, "value of the function", is_log=True)
    caption = "From the same start."
    return Chart("paths", "Paths", caption, Axis("x"), Axis("y"), (path, other), field=behind)


def landscapes() -> Panels:
    """Paths over one landscape, a panel each."""
    charts = tuple(replace(contours(), name=f"paths_{i}") for i in range(3))
    return Panels("landscapes", "Landscapes", "A panel for each.", charts, columns=3)


def heatmap(middle: float | None = None, name: str = "heat") -> Heatmap:
    """Values by activation and initializer; one is unknown, one infinite."""
    values = np.array([[0.1, 0.5, 2.0, np.nan], [0.2, 1.0, np.inf, 0.4], [0.9, 3.0, 0.3, 1.4]])
    texts = tuple(
        tuple("" if np.isnan(v) else f"{v:g}".replace("inf", "∞") for v in row) for row in values
    )
    x = Axis("initializer", "names", ("kaiming", "xavier", "orthogonal", "normal"))
    y = Axis("activation", "names", ("relu", "tanh", "gelu"))
    caption = "Mean over seeds of the best cell."
    return Heatmap(
        name, "Two factors", caption, x, y, values, texts, "loss (nats)", middle, middle is None
    )


def parallel() -> Parallel:
    """Runs by what they had and how they ended."""
    generator = np.random.default_rng(0)
    rates = 10.0 ** generator.integers(-4, 1, 80)
    loss = np.abs(np.log10(rates) + 2) + generator.random(80)
    loss[:3] = np.inf
    seconds = generator.random(80) * 100
    seconds[5] = np.nan
    axes = (
        Axis("optimizer", "names", OPTIMIZERS),
        Axis("learning rate", "log"),
        Axis("training time (s)"),
        Axis("validation loss (nats)", "log"),
    )
    values = np.stack([generator.integers(0, 8, 80).astype(float), rates, seconds, loss], 1)
    caption = "A line is a run; drag along an axis to pick some."
    return Parallel("parallel", "All runs", caption, axes, values, loss, "validation loss (nats)")


def many() -> Chart:
    """More cells than have looks of their own."""
    x = np.arange(200.0)
    series = tuple(
        Series(f"cell {i:02d}", x, 1 / (1 + x / (i + 1)) + 0.01 * i, is_shown=i < 20)
        for i in range(60)
    )
    return Chart("many", "Many cells", "", Axis("epoch"), Axis("loss"), series, can_be_log=True)


def hostile() -> Chart:
    """Names that would be HTML, script or formatting."""
    x = np.array([0.0, 1.0])
    series = (
        Series(HOSTILE, x, x, texts=(HOSTILE, HOSTILE), look=LOOKS["adam"]),
        Series("x", x, np.array([1, np.inf])),
    )
    names = Axis(HOSTILE, "names", (HOSTILE, "ordinary"))
    return Chart(
        "hostile", HOSTILE, HOSTILE, names, Axis(HOSTILE), series, (Mark(0.5, "y", HOSTILE),)
    )


def figures() -> tuple[Figure, ...]:
    """One of each kind at least."""
    panels = Panels(
        "panels",
        "By task",
        "One panel for each task.",
        tuple(losses(f"losses_{i}") for i in range(5)),
        columns=3,
    )
    views = Views(
        "views",
        "By what was spent",
        "The switch chooses the x axis.",
        {"by epoch": learning_curves("a"), "by time": losses("b"), "panels": panels},
        "axis",
    )
    return (
        learning_curves(),
        losses(),
        intervals(),
        steps(),
        contours(),
        heatmap(),
        heatmap(1.0, "sides"),
        parallel(),
        panels,
        landscapes(),
        views,
        many(),
        hostile(),
    )
