"""What a trained model takes the validation rows for; the test rows are scored, and not looked at.

Shapes: rows N, last steps S, symbols heard T.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from optlab import registry
from optlab.build.objective import loss_of
from optlab.build.sections import Config, created, section
from optlab.nn.losses import Loss
from optlab.tasks.digits import Digits
from optlab.tasks.text import Characters
from optlab.train.objective import rows_of_a_chunk
from optlab.train.parts import Parts

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Rows of the table of sequences.
MOST_SEQUENCES = 16


@dataclass(frozen=True, eq=False)
class Predictions:
    """Classes of the validation rows.

    Attributes:
        true: Right ones, (N) or (N, S).
        predicted: The model's, of the same shape.
        certainty: Probability that the model gives the predicted class; nan where its answers are
            no probabilities.
    """

    true: Ints
    predicted: Ints
    certainty: Array


@torch.no_grad()
def predictions(config: Config, parts: Parts) -> Predictions | None:
    """Return classes of the validation rows, at the weights that the module holds.

    Returns:
        None for real targets, for a test function, and for answers that are no numbers.
    """
    split, module = parts.data.val, parts.module
    if parts.data.num_classes is None:
        return None
    loss = loss_of(config, registry.tasks.get(section(config, "task")[0]).default_loss, parts.data)
    was_training = module.training
    module.eval()
    scores = torch.cat([module(x) for x in torch.split(split.x, rows_of_a_chunk(split.x))])
    module.train(was_training)
    if not bool(scores.isfinite().all()):
        return None
    shape = scores.shape[:-1]
    scores = scores.flatten(0, -2)
    target = split.y if len(shape) == 1 else split.y.flatten(0, 1)
    found = loss.labels(target), loss.predict(scores), _certainty(loss, scores)
    return Predictions(*(each.reshape(shape).cpu().numpy() for each in found))


def _certainty(loss: Loss, scores: Tensor) -> Tensor:
    """Return the probability of the predicted class for scores (N, D), (N), float64."""
    answers = loss.activate(scores).double()
    if loss.head == "softmax":
        return answers.amax(-1)
    if loss.head == "sigmoid" and answers.shape[-1] == 1:
        return torch.maximum(answers, 1 - answers)[:, 0]
    return answers.new_full(answers.shape[:1], float("nan"))


def images(config: Config, parts: Parts) -> Array | None:
    """Return the validation rows as pictures, (N, H, W) or (N, H, W, 3), or None for others.

    Pixels that were scaled one by one are read again as they are: else they show no digit.
    """
    task: Any = registry.tasks.get(section(config, "task")[0])
    if task is Digits:
        options = {**config["task"], "standardize": False}
        pixels: Array = created(registry.tasks, {"task": options}, "task").load().val.x.numpy()
        return pixels.reshape(-1, 8, 8)
    shape = parts.data.input_shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        return None
    rows: Array = parts.data.val.x.cpu().numpy()
    return rows[:, 0] if shape[0] == 1 else rows.transpose(0, 2, 3, 1)


def sequences(config: Config, parts: Parts, found: Predictions) -> str:
    """Return some validation rows of tokens as a table in markdown, those with most mistakes first.

    Returns:
        Nothing for a task without tokens.
    """
    if parts.data.vocabulary is None:
        return ""
    task = created(registry.tasks, config, "task")
    alphabet = task.alphabet() if isinstance(task, Characters) else None

    def written(tokens: Ints) -> str:
        numbers = np.atleast_1d(tokens)
        if alphabet is None:
            return "`" + " ".join(map(str, numbers.tolist())) + "`"
        text = alphabet.decode(torch.from_numpy(numbers)).translate(_SHOWN)
        return f"`{text}`"

    is_wrong = found.true != found.predicted
    mistakes = is_wrong.reshape(len(is_wrong), -1).sum(axis=1)
    heard = parts.data.val.x.cpu().numpy()
    lines = ["| input | right answer | model's answer | wrong |", "|---|---|---|--:|"]
    for row in np.argsort(-mistakes, kind="stable")[:MOST_SEQUENCES]:
        cells = map(written, (heard[row], found.true[row], found.predicted[row]))
        lines.append(f"| {' | '.join(cells)} | {mistakes[row]} |")
    total = f"{int(mistakes.sum()):,} of {is_wrong.size:,} answers on validation rows are wrong"
    return "\n".join([f"{total}; the rows with most of them:", "", *lines])


#: What would break the row of a table, as what stands for it in print.
_SHOWN = str.maketrans({"\n": "\N{SYMBOL FOR NEWLINE}", "|": "\N{BROKEN BAR}", "`": "'"})
