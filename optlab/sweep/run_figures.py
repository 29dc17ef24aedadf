"""What a run draws at its end: pictures and tables, into its folder and into TensorBoard.

This imports matplotlib, which takes a third of a second: to be imported when a run has ended.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from optlab import registry
from optlab.build.sections import Config, created, section
from optlab.figures.activations import activations
from optlab.figures.canvas import png
from optlab.figures.confusion import confusion, counts
from optlab.figures.first_weights import FirstWeights, first_weights
from optlab.figures.path import Array, path
from optlab.figures.samples import order, samples
from optlab.init import initialize
from optlab.loggers.table import read_metrics
from optlab.nn.activations import Activation
from optlab.results import write_atomic
from optlab.saying import warn
from optlab.sweep.predictions import images, predictions, sequences
from optlab.train.parts import Parts

FIGURES = "figures"  # the folder, in that of the run

#: Of activations.
INPUTS = torch.linspace(-4, 4, 401, dtype=torch.float64)
#: Numbers of a weight that are drawn with other seeds, and how many seeds at most.
ENOUGH, MOST_SEEDS = 20_000, 16


@dataclass
class Drawn:
    """What was drawn of a run.

    Attributes:
        pictures: PNG files by name.
        texts: Tables in markdown by name.
    """

    pictures: dict[str, bytes] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write all of it into a folder.

        Raises:
            OSError: When it cannot be written.
        """
        for name, content in self.pictures.items():
            write_atomic(folder / f"{name}.png", content)
        for name, text in self.texts.items():
            write_atomic(folder / f"{name}.md", text.encode())


def run_figures(config: Config, parts: Parts, folder: Path) -> Drawn:
    """Draw a run that has ended, at the weights that its module holds, into its folder.

    A picture that cannot be drawn, such as of the answers of a model that takes fewer rows at once,
    is told and left out: the run is done all the same.

    Args:
        config: The run's configuration.
        parts: What the run is made of.
        folder: The run folder, which its metrics table can be found from.

    Raises:
        OSError: When files cannot be written.
    """
    drawn = Drawn()
    for draw in (_of_predictions, _of_path, _of_activations, _of_first_weights):
        try:
            draw(drawn, config, parts, folder)
        except OSError:
            raise
        except Exception as error:  # whatever a model of others raises
            warn(f"[optlab] {draw.__name__[1:]} was not drawn: {type(error).__name__}: {error}")
    drawn.write(folder / FIGURES)
    return drawn


def _of_predictions(drawn: Drawn, config: Config, parts: Parts, folder: Path) -> None:
    found = predictions(config, parts)
    if found is None or parts.data.num_classes is None:
        return
    table = counts(found.true, found.predicted, parts.data.num_classes)
    what = "validation rows" if found.true.ndim == 1 else "answers on validation rows"
    drawn.pictures["confusion"] = png(lambda: confusion(table, what))
    if text := sequences(config, parts, found):
        drawn.texts["samples"] = text
    pixels = images(config, parts)
    if pixels is not None and found.true.ndim == 1:
        shown = order(found.true, found.predicted, found.certainty)
        wrong = int((found.true != found.predicted).sum())
        own = pixels[shown], found.true[shown], found.predicted[shown], found.certainty[shown]
        drawn.pictures["samples"] = png(lambda: samples(*own, wrong))


def _of_path(drawn: Drawn, config: Config, parts: Parts, folder: Path) -> None:
    objective, minima = parts.data.objective, parts.data.minima
    if objective is None or minima is None or minima.shape[1] > 2:
        return
    tags = [f"point/x{i}" for i in range(minima.shape[1])]
    rows = read_metrics([folder], tags).sort("update", maintain_order=True)
    table = rows.pivot(on="tag", index="update", values="value", aggregate_function="last")
    if not len(table):  # nobody kept it: logger.table=false
        return
    updates, points = table["update"].to_numpy(), table.select(tags).to_numpy()

    def function(points: Array) -> Array:
        values: Array = objective(torch.from_numpy(points)).numpy()
        return values

    drawn.pictures["path"] = png(lambda: path(function, minima.numpy(), updates, points))


@torch.no_grad()
def _of_activations(drawn: Drawn, config: Config, parts: Parts, folder: Path) -> None:
    curves: dict[str, tuple[Array, Array, Array]] = {}
    for name, module in parts.module.named_modules():
        if isinstance(module, Activation) and module.elementwise:
            own = next(module.parameters(), None)
            title = repr(module).removesuffix("()") + ("" if own is None else f" of {name}")
            z = INPUTS if own is None else INPUTS.to(own)
            values, slopes = module(z), module.derivative(z)
            curves[title] = (_array(z), _array(values), _array(slopes))
    if curves:
        drawn.pictures["activations"] = png(lambda: activations(curves))


def _of_first_weights(drawn: Drawn, config: Config, parts: Parts, folder: Path) -> None:
    seed, module = config["seed"], parts.module
    own = _first_weights(config, module, [seed])
    if not own:
        return
    sizes = [weights.size for weights in own.values()]
    seeds = max(1, min(MOST_SEEDS, ENOUGH // min(sizes), 10 * ENOUGH // sum(sizes)))
    others = _first_weights(config, module, range(seed + 1, seed + 1 + seeds))
    found = [
        FirstWeights(f"{name}, {' x '.join(map(str, weights.shape[1:]))}", weights, others[name])
        for name, weights in own.items()
    ]
    initializer = section(config, "init")[0]
    drawn.pictures["first_weights"] = png(lambda: first_weights(found, initializer))


@torch.no_grad()
def _first_weights(config: Config, module: nn.Module, seeds: Sequence[int]) -> dict[str, Array]:
    """Return what each weight begins with for some seeds, (seeds, ...), by its name."""
    module, initializer = copy.deepcopy(module), created(registry.initializers, config, "init")
    weights = {name: p for name, p in module.named_parameters() if p.ndim >= 2}
    found: dict[str, list[Array]] = {name: [] for name in weights}
    for seed in seeds:
        for weight in weights.values():
            weight.fill_(math.nan)  # what no initializer fills is not known any more
        initialize(module, initializer, seed)
        for name, weight in weights.items():
            found[name].append(_array(weight))
    arrays = {name: np.stack(drawn) for name, drawn in found.items()}
    return {name: drawn for name, drawn in arrays.items() if np.isfinite(drawn).all()}


def _array(tensor: Tensor) -> Array:
    found: Array = tensor.detach().double().cpu().numpy().copy()
    return found
