"""The affine layer z = W x + b."""

import torch
from torch import Tensor, nn

from optlab.config import ConfigError, check_value
from optlab.init import uniform_fan_in_
from optlab.types import Count


class Linear(nn.Module):
    """Maps (..., in_features) to (..., out_features) by ``x @ weight.T + bias``.

    Parameters are named and laid out as in `torch.nn.Linear`, and state dicts can be exchanged.
    Course notes, rows MLP-01 and MLP-03; the notes store the transpose, (in, out).

    Args:
        in_features: Number of features of an input.
        out_features: Number of units.
        bias: Whether to add a bias, which starts at 0.
        generator: Stream of the first weights, drawn as torch draws them (row INI-06); torch's
            global one if None. In a run `optlab.init.initialize` draws them anew from its seed.
        device: Where to keep the parameters.
        dtype: Their type; torch's default type if None.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features: int = check_value(in_features, Count, "in_features")
        self.out_features: int = check_value(out_features, Count, "out_features")
        dtype = dtype or torch.get_default_dtype()
        if not (dtype.is_floating_point or dtype.is_complex):
            raise ConfigError(f"weights must be of a floating-point dtype, got dtype={dtype}")
        weight = torch.empty(out_features, in_features, dtype=torch.float32)
        uniform_fan_in_(weight, generator=generator)
        self.weight = nn.Parameter(weight.to(device, dtype))
        zeros = torch.zeros(out_features, device=device, dtype=dtype)
        self.bias = nn.Parameter(zeros) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores z, shape (..., out_features).

        Raises:
            ConfigError: For an input with another number of features, of another dtype, or on
                another device; looked for only where PyTorch cannot multiply.
        """
        bias = self.bias
        try:
            if bias is not None and x.ndim == 2:
                return torch.addmm(bias, x, self.weight.t())
            z = x @ self.weight.t()
        except (RuntimeError, AttributeError, TypeError):
            self._refuse(x)
            raise
        return z if bias is None else z + bias

    def _refuse(self, x: Tensor) -> None:
        """Say what is wrong with an input, if it is that."""
        if not isinstance(x, Tensor):
            raise ConfigError(f"Linear takes a tensor, got {type(x).__name__}")
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ConfigError(
                f"Linear takes inputs of shape (..., {self.in_features}), got {tuple(x.shape)}"
            )
        own = self.weight
        if x.dtype != own.dtype or x.device != own.device:
            raise ConfigError(
                f"inputs must have the parameters' dtype and device, {own.dtype} on {own.device}, "
                f"got {x.dtype} on {x.device}; convert the input or the module with .to(...)"
            )

    def extra_repr(self) -> str:
        """Return the sizes, for ``print(module)``."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"
