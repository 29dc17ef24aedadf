"""What is measured inside a network while it trains, one quantity per file."""

from optlab.diagnostics.layer_norms import layer_norms

__all__ = ["layer_norms"]
