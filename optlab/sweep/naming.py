"""Names of the run folders of a sweep: what varies, in the order it was typed."""

import hashlib
from collections.abc import Iterable

#: Bytes of a name; file systems allow 255, and TensorBoard shows the beginning.
MAX_BYTES = 200


def folder_name(overrides: Iterable[str], constant: Iterable[str]) -> str:
    """Return a name such as ``optimizer=adam,lr=0.01,seed=0``.

    A key is shortened to its last part where that is unambiguous. A name that would leave its
    folder, or that is too long, is mended and made unique by a hash of what it stands for.

    Args:
        overrides: Hydra overrides of one job, ``KEY=VALUE``.
        constant: Keys that every job of the sweep shares.
    """
    left_out = set(constant)
    pairs = [tuple(word.lstrip("+").split("=", 1)) for word in overrides if "=" in word]
    varying = {key: value for key, value in pairs if key not in left_out}
    lasts = [key.rpartition(".")[2] for key in varying]
    parts = [
        f"{last if lasts.count(last) == 1 else key}={value}"
        for (key, value), last in zip(varying.items(), lasts, strict=True)
    ]
    name = ",".join(parts)
    safe = name.replace("/", "_").replace("\\", "_")
    if safe != name or len(safe.encode()) > MAX_BYTES:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        safe = safe.encode()[: MAX_BYTES - 9].decode(errors="ignore") + f"-{digest}"
    return safe or "run"
