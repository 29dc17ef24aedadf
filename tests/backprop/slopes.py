"""Derivatives by other means than the formulas under test."""

import torch


def by_autograd(network, params, x, y):
    """Return the gradient of the loss, summed over rows, by every parameter."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    loss = network.loss(network.forward(leaves, x), y).sum()
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def by_differences(network, params, x, y, width=1e-5):
    """Return central differences of the loss; their error is of the order of width^2."""

    def slope(name, entry):
        sides = []
        for sign in (1, -1):
            moved = {key: value.clone() for key, value in params.items()}
            moved[name].view(-1)[entry] += sign * width
            sides.append(network.loss(network.forward(moved, x), y).sum())
        return (sides[0] - sides[1]) / (2 * width)

    return {
        name: torch.stack([slope(name, e) for e in range(value.numel())]).view_as(value)
        for name, value in params.items()
    }
