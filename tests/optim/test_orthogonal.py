import pytest
import torch
from torch import Tensor

from optlab.optim.orthogonal import eigenbasis, gram_of_axis, newton_schulz, power_step, rotate

MUON = (3.4445, -4.7750, 2.0315)


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def matrix(values: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return factors U, V with orthonormal columns and the matrix U diag(values) V^T."""
    left = torch.linalg.qr(random(rows, len(values), seed=1)).Q
    right = torch.linalg.qr(random(columns, len(values), seed=2)).Q
    return left, right, left @ values.diag() @ right.T


def symmetric(values: Tensor) -> Tensor:
    left = torch.linalg.qr(random(len(values), len(values), seed=3)).Q
    return left @ values.diag() @ left.T


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (4, 1), (1, 4)])
def test_iteration_with_convergent_coefficients_ends_at_the_orthogonal_factor(
    shape: tuple[int, int],
) -> None:
    values = torch.linspace(0.5, 2.0, min(shape), dtype=torch.float64)
    left, right, product = matrix(values, *shape)
    factor = newton_schulz(product, (1.5, -0.5, 0.0), steps=30, eps=0.0)
    # Quadratic convergence from singular values above 0.2 of the norm.
    torch.testing.assert_close(factor, left @ right.T, rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [(12, 8), (8, 12), (8, 8)])
def test_iteration_keeps_directions_and_draws_singular_values_near_one(
    shape: tuple[int, int],
) -> None:
    # Singular values four hundred times apart, all above 0.007 of the norm.
    values = torch.logspace(-2.1, 0.5, 8, dtype=torch.float64)
    values = values[values > 0.007 * values.norm()]
    left, right, product = matrix(values, *shape)
    core = left.T @ newton_schulz(product, MUON, steps=5, eps=1e-7) @ right
    assert (core - core.diagonal().diag()).abs().max() < 1e-13
    assert 0.68 < core.diagonal().min() < core.diagonal().max() < 1.21


def test_iteration_does_not_see_the_scale() -> None:
    # Powers of two divide exactly.
    small = random(5, 3)
    factors = [newton_schulz(small * scale, MUON, 5, 0.0) for scale in (1.0, 2.0**40, 2.0**-40)]
    assert torch.equal(factors[0], factors[1])
    assert torch.equal(factors[0], factors[2])


def test_iteration_leaves_zero_at_zero() -> None:
    assert torch.equal(newton_schulz(torch.zeros(3, 2), MUON, 5, 1e-7), torch.zeros(3, 2))


def test_iteration_with_tensor_coefficients_is_the_same() -> None:
    coefficients = tuple(torch.tensor(c, dtype=torch.float64) for c in MUON)
    eps = torch.tensor(1e-7, dtype=torch.float64)
    ours = newton_schulz(random(5, 3), coefficients, 5, eps)  # type: ignore[arg-type]
    # One rounding more per product.
    torch.testing.assert_close(ours, newton_schulz(random(5, 3), MUON, 5, 1e-7), rtol=0, atol=1e-13)


def test_gram_holds_the_products_of_slices() -> None:
    tensor = random(2, 3, 4)
    expected = [[(tensor[:, i] * tensor[:, j]).sum() for j in range(3)] for i in range(3)]
    gram = gram_of_axis(tensor, 1)
    torch.testing.assert_close(gram, torch.tensor(expected), rtol=1e-14, atol=1e-14)


def test_bases_of_a_tensor_make_its_slices_orthogonal_and_largest_first() -> None:
    tensor = random(3, 2, 4)
    bases = {axis: eigenbasis(gram_of_axis(tensor, axis)) for axis in (0, 2)}
    turned = rotate(tensor, bases)
    for axis in bases:
        gram = gram_of_axis(turned, axis)
        assert (gram - gram.diagonal().diag()).abs().max() < 1e-13
        assert (gram.diagonal().diff() < 0).all()
    torch.testing.assert_close(rotate(turned, bases, back=True), tensor, rtol=0, atol=1e-13)


def test_rotation_of_a_matrix_is_a_product_from_both_sides() -> None:
    left, right = symmetric(torch.arange(3.0).double()), symmetric(torch.arange(4.0).double())
    turned = rotate(random(3, 4), {0: left, 1: right})
    torch.testing.assert_close(turned, left.T @ random(3, 4) @ right, rtol=0, atol=1e-13)


def test_eigenbasis_of_what_is_not_finite_is_finite() -> None:
    gram = torch.tensor([[float("nan"), 1.0], [1.0, float("inf")]])
    assert eigenbasis(gram).isfinite().all()


def test_power_steps_lead_to_the_sorted_eigenvectors() -> None:
    # The error shrinks by the ratio of neighbouring eigenvalues, 1/3, per step.
    values = torch.tensor([9.0, 3.0, 1.0, 1 / 3], dtype=torch.float64)
    gram, basis = symmetric(values), torch.eye(4, dtype=torch.float64)
    for _ in range(40):
        basis, _ = power_step(gram, basis)
    torch.testing.assert_close(basis.T @ basis, torch.eye(4).double(), rtol=0, atol=1e-14)
    torch.testing.assert_close(basis.T @ gram @ basis, values.diag(), rtol=0, atol=1e-13)


def test_power_step_sorts_the_columns_and_says_how() -> None:
    gram, shuffled = torch.diag(torch.tensor([3.0, 2.0, 1.0])), [2, 0, 1]
    basis, order = power_step(gram, torch.eye(3)[:, shuffled])
    assert order.tolist() == [1, 2, 0]
    assert torch.equal(basis.abs(), torch.eye(3))
