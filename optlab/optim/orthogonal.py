"""Orthogonal factors and eigenbases of matrices, from which Muon and SOAP are built. Pure.

Every function takes one matrix and may run under ``torch.vmap``; none looks at a value.
"""

import torch
from torch import Tensor

from optlab.optim.math import Number, larger


def newton_schulz(
    matrix: Tensor, coefficients: tuple[Number, Number, Number], steps: int, eps: Number
) -> Tensor:
    """Return about ``U V^T`` of a matrix ``U S V^T``: its singular values all drawn near one.

        X = M / max(||M||_F, eps)
        X = a X + (b X X^T + c (X X^T)^2) X        ``steps`` times

    which leaves U and V as they are and sends each singular value s through
    ``a s + b s^3 + c s^5``. Muon's coefficients do not converge: they hold values near one, between
    about 0.68 and 1.21 after five steps if they were above 0.007 of the norm; smaller ones are
    still on their way, a zero stays.

    Args:
        matrix: Shape (m, n), in the dtype of the arithmetic. A tall one is worked on transposed, so
            that the products are of the shorter side.
        coefficients: The polynomial's a, b and c.
        steps: Applications of the polynomial.
        eps: Least norm to divide by.

    Source: Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks. The order
    of operations is that of ``torch.optim.Muon``, which matters in bfloat16.
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / larger(x.norm(), eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = _add_product(x, a, _add_product(gram, b, gram, gram, c), x)
    return x.mT if tall else x


def gram_of_axis(tensor: Tensor, axis: int) -> Tensor:
    """Return the products of all slices along an axis with each other, shape (side, side)."""
    slices = tensor.movedim(axis, 0).flatten(1)
    return slices @ slices.mT


def rotate(tensor: Tensor, bases: dict[int, Tensor], back: bool = False) -> Tensor:
    """Return coordinates of a tensor in orthonormal bases of some of its axes, or undo that.

    Args:
        tensor: Any shape.
        bases: For each axis to rotate a basis of shape (side, side), vectors in columns.
        back: From coordinates in the bases to the tensor.
    """
    for axis, basis in bases.items():
        turned = tensor.movedim(axis, -1) @ (basis.mT if back else basis)
        tensor = turned.movedim(-1, axis)
    return tensor


def eigenbasis(gram: Tensor) -> Tensor:
    """Return the eigenvectors of a symmetric matrix in columns, largest eigenvalue first.

    The signs, and the basis of a null space, are LAPACK's choice. Entries that are not finite count
    as zero: LAPACK would refuse the matrix, and with it every other run of a stack.
    """
    finite = gram.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    vectors: Tensor = torch.linalg.eigh(finite).eigenvectors
    return vectors.flip(-1)


def power_step(gram: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Return a basis one step closer to the eigenvectors of ``gram``, and the order of its columns.

    One round of orthogonal iteration: the basis times the matrix, made orthonormal by QR. Before
    that the columns are sorted by their Rayleigh quotients, largest first, because QR keeps the
    first column's direction and bends the later ones.

    Returns:
        The basis, shape (side, side), and the indices of the former columns, shape (side,).

    Source: Vyas et al. (2024), SOAP, Algorithm 4; Golub and Van Loan (2013), section 8.2.4.
    """
    product = gram @ basis
    order = (basis * product).sum(0).argsort(descending=True, stable=True)
    return torch.linalg.qr(product.index_select(1, order)).Q, order


def _add_product(
    base: Tensor, beta: Number, left: Tensor, right: Tensor, alpha: Number = 1.0
) -> Tensor:
    """Return ``beta * base + alpha * left @ right``, rounded once where the factors are numbers."""
    if isinstance(beta, Tensor) or isinstance(alpha, Tensor):
        return beta * base + alpha * (left @ right)
    return torch.addmm(base, left, right, beta=beta, alpha=alpha)
