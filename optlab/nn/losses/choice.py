"""The notes' table of which loss to take (course notes, row LOS-14)."""

from optlab.config import unknown_name

_TABLE = {
    "regression": ("mse", "mae"),
    "binary": ("bce", "bce"),
    "multiclass": ("sparse_cce", "sparse_cce"),
}


def select_loss(kind: str, outliers: bool = False) -> str:
    """Return the name of the loss that the notes recommend.

    Args:
        kind: ``"regression"``, ``"binary"`` or ``"multiclass"``. The notes' cce and sparse_cce
            for the last differ in the encoding of the target only; labels are numbers here.
        outliers: Whether a regression's targets have outliers.

    Raises:
        ConfigError: For another ``kind``.
    """
    if kind not in _TABLE:
        raise unknown_name("kind of task", kind, _TABLE)
    return _TABLE[kind][outliers]
