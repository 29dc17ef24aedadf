"""The course notes' training loop: one row, one forward, one backward, one step (row BPR-01)."""

from typing import Any, Protocol

import torch
from torch import Tensor

from optlab import seeding
from optlab.config import ConfigError

#: Parameters of a network by the notes' names; gradients have the same names and shapes.
Parameters = dict[str, Tensor]


class Network(Protocol):
    """A network as three pure functions. What `forward` returns is its own affair."""

    def forward(self, params: Parameters, x: Tensor) -> Any:
        """Return everything that `backward` needs of the way from ``x`` to the prediction."""
        ...

    def loss(self, activations: Any, y: Tensor) -> Tensor:
        """Return the loss of what `forward` returned."""
        ...

    def backward(self, params: Parameters, activations: Any, y: Tensor) -> Parameters:
        """Return the derivative of the loss by every parameter."""
        ...


def update(params: Parameters, gradients: Parameters, lr: float) -> Parameters:
    """Return w_new = w_old - lr dL/dw for every parameter (course notes, row OPT-02).

    The notes print w_old on both sides once (row E21).
    """
    return {name: w_old - lr * gradients[name] for name, w_old in params.items()}


def targets_like(y: Tensor, outputs: Tensor) -> Tensor:
    """Return targets in the shape of the outputs; an axis of one output they may lack.

    Raises:
        ConfigError: For another shape, which a difference would broadcast without a word.
    """
    if y.shape not in (outputs.shape, outputs.squeeze(-1).shape):
        raise ConfigError(
            f"y must have the shape of the outputs, {tuple(outputs.shape)}, got {tuple(y.shape)}"
        )
    return y.reshape(outputs.shape)


def random_rows(num_rows: int, epochs: int, seed: int) -> Tensor:
    """Return which row each update takes, (epochs, num_rows): any row, as the notes draw it.

    About a third of the rows, (1 - 1/N)^N, is not seen in an epoch.
    """
    stream = seeding.generator(seed, "order")
    return torch.randint(num_rows, (epochs, num_rows), generator=stream)


def shuffled_rows(num_rows: int, epochs: int, seed: int) -> Tensor:
    """Return which row each update takes, (epochs, num_rows): every row once an epoch."""
    stream = seeding.generator(seed, "order")
    rows = [torch.randperm(num_rows, generator=stream) for _ in range(epochs)]
    return torch.stack(rows) if rows else torch.empty(0, num_rows, dtype=torch.int64)


def train_backprop(
    network: Network, params: Parameters, x: Tensor, y: Tensor, order: Tensor, lr: float
) -> tuple[Parameters, Tensor]:
    """Train by gradient descent on one row after another (course notes, row BPR-01).

    The notes' loop: for every epoch, for j in range(x.shape[0]): select a random row, predict,
    calculate the loss, update weights and bias. ``params`` are left as they are.

    Args:
        network: What to train.
        params: Where to start.
        x: Inputs, shape (N, F).
        y: Targets, shape (N,) or (N, D), as the network's loss takes a row of them.
        order: Row of every update, shape (epochs, N): `random_rows` or `shuffled_rows`. For a
            stack of R runs, (epochs, N, R). No epoch leaves the parameters where they start.
        lr: The notes' eta.

    Returns:
        The trained parameters, and the loss before every update, shaped like ``order``.
    """
    losses = []
    for epoch in order:
        for row in epoch:
            activations = network.forward(params, x[row])
            losses.append(network.loss(activations, y[row]))
            gradients = network.backward(params, activations, y[row])
            params = update(params, gradients, lr)
    return params, (torch.stack(losses) if losses else x.new_empty(0)).view(order.shape)
