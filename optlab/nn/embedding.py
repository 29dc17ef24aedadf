"""A table of vectors, one per symbol."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.init import Initializer, standard_normal_


class Embedding(nn.Module):
    """Maps tokens (...), integers in [0, num_embeddings), to rows of ``weight``.

    It is the product of one-hot rows with ``weight``, without the products: forward picks rows,
    backward adds each gradient to the row that was picked. The parameter is named and laid out as
    in `torch.nn.Embedding`, and state dicts can be exchanged.

    Weights come from N(0, 1) whatever the run's initializer: a row is what the next layer gets,
    with variance 1 as standardized features have it. A rule with fans would take the vocabulary
    for the units of a layer.

    Args:
        num_embeddings: Number of symbols.
        embedding_dim: Length of a row.
        generator: Stream of the first weights; see `optlab.nn.Linear`.
        device: Where to keep the table.
        dtype: Its type; torch's default type if None.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        weight = torch.empty(num_embeddings, embedding_dim, dtype=torch.float32)
        standard_normal_(weight, generator=generator)
        self.weight = nn.Parameter(weight.to(device, dtype or torch.get_default_dtype()))

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Fill the table from N(0, 1); see `optlab.init.SelfInitialized`."""
        fill("weight", self.weight, standard_normal_)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the rows of ``tokens``, shape (..., embedding_dim).

        Raises:
            ConfigError: For tokens that are not int32 or int64.
            IndexError: For a token outside [0, num_embeddings); a RuntimeError under `torch.vmap`
                and compilers, an assertion of the device on CUDA.
        """
        if tokens.dtype not in (torch.int32, torch.int64):
            raise ConfigError(
                f"Embedding takes tokens of dtype int64 or int32, got {tokens.dtype}; "
                "numbers that are no symbols go through a Linear layer"
            )
        index = tokens.reshape(-1)
        if torch.compiler.is_compiling():
            # Compiled code counts a negative index from the end, where this one only fails.
            index = torch.where(index < 0, self.num_embeddings, index)
        # Not weight[tokens]: its gradient sorts the tokens first, and takes twice the time.
        rows = self.weight.index_select(0, index)
        return rows.view(*tokens.shape, self.embedding_dim)

    def extra_repr(self) -> str:
        """Return the sizes, for ``print(module)``."""
        return f"{self.num_embeddings}, {self.embedding_dim}"
