"""What trains the runs of a program: chosen by device and work. Imports torch when asked."""

import functools
from typing import Literal, NamedTuple

from optlab.config import ConfigError

#: ``native``: C made from the graph of a step, run by run, on the CPU. ``compiled`` and ``eager``:
#: `torch.vmap` of a step over runs, through the compiler or not. ``single``: one run after another.
Engine = Literal["native", "compiled", "eager", "single"]
Wanted = Literal["auto", "native", "compiled", "eager", "single"]

#: Seconds for one operation of a step: its part in compiling (5.9 s for 190 of an MLP's), its
#: launch on CUDA, and its part in a compiled step, which took a third as long.
COMPILE_S, EAGER_S, COMPILED_S = 0.03, 5e-6, 1.6e-6


class Choice(NamedTuple):
    """An engine, and why the runs are not stacked where it is ``single``."""

    engine: Engine
    reason: str = ""


def pays_off(updates: float, setup_s: float, before_s: float, after_s: float) -> bool:
    """Return whether making updates quicker is worth what has to be done first.

    Args:
        updates: Updates to make: those of all runs where they are advanced one by one, those of
            one run where all are advanced at once.
        setup_s: Seconds before the first, such as compiling.
        before_s: Seconds of one update without.
        after_s: Seconds of one update then.
    """
    return setup_s + updates * after_s < updates * before_s


def choose(wanted: Wanted, device: str, updates: int) -> Choice:
    """Return what trains runs that can be stacked.

    The choice does not depend on how many runs there are: a sweep that is resumed with few of them
    goes on as it began.

    Args:
        wanted: ``sweep.engine``.
        device: ``"cpu"`` or ``"cuda"``.
        updates: Updates of one run.

    Raises:
        ConfigError: When ``native`` is wanted where it cannot be.
    """
    if wanted == "single":
        return Choice("single", "sweep.engine=single")
    if wanted == "native":
        return Choice(_native(device))
    if wanted != "auto":
        return Choice(wanted)
    if device == "cpu":
        missing = missing_compiler()
        return Choice("single", missing) if missing else Choice("native")
    is_long = pays_off(updates, COMPILE_S, EAGER_S, COMPILED_S)
    return Choice("compiled" if is_long else "eager")


def _native(device: str) -> Engine:
    if device != "cpu":
        raise ConfigError(
            f"sweep.engine=native is for the CPU and the runs are on {device!r}; use "
            "sweep.engine=auto, compiled or eager, or device=cpu"
        )
    missing = missing_compiler()
    if missing:
        raise ConfigError(f"sweep.engine=native needs a C compiler: {missing}")
    return "native"


@functools.cache
def missing_compiler() -> str:
    """Return why there is no C compiler to use, or nothing."""
    from optlab.compiler import NoCompiler, c_library

    try:
        c_library("int optlab_probe(void) { return 0; }")
    except NoCompiler as error:
        return str(error)
    return ""
