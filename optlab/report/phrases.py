"""What a cell's configuration is called in few words: its optimizer, its transform, its options."""

from collections.abc import Collection, Mapping
from typing import Any

OPTIMIZER, TARGET, AMSGRAD = "optimizer.name", "optimizer.target", "optimizer.amsgrad"
#: Keys that tell together what an optimizer is called: those of torch or of a library by their
#: class, and AMSGrad, which is a choice of its own and an option of Adam.
NAMING = (OPTIMIZER, TARGET, AMSGRAD)
#: What a transform does, by its switch, with the options that mean something where it is on.
SWITCHES = {
    "transform.cautious": (),
    "transform.lookahead_steps": ("transform.lookahead_alpha",),
    "transform.ema": ("transform.ema_bias_correction",),
}


def optimizer_name(key: Mapping[str, Any]) -> str:
    """Return what the optimizer is called."""
    if key.get(AMSGRAD):
        return "amsgrad"
    return str(key.get(TARGET) or key.get(OPTIMIZER) or "run")


def phrases(key: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Return some options in few words, those that belong together as one."""
    found: dict[str, None] = {}
    for name, value in key.items():
        if name not in names or value is None:
            continue
        if name in NAMING:
            found[_phrase(OPTIMIZER, optimizer_name(key))] = None
        elif name.startswith("transform."):
            found[_transform(key, names)] = None
        else:
            found[_phrase(name, value)] = None
    return list(found)


def show(value: Any) -> str:
    """Return a configuration value for a person: floats short, absent values as a dash."""
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def typed(value: Any) -> str:
    """Return a configuration value as a command line has it, but for floats, which are short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return show(value)


def _phrase(name: str, value: Any) -> str:
    section, _, last = name.rpartition(".")
    if last != "name":
        return f"{last}={show(value)}"
    return f"{section}=none" if value == "none" else str(value)


def _transform(key: Mapping[str, Any], names: Collection[str]) -> str:
    """Return what goes around the rule: of what is switched off, nothing."""
    words: list[str] = []
    for switch, options in SWITCHES.items():
        if key.get(switch):
            last = switch.rpartition(".")[2]
            words.append(last if key[switch] is True else f"{last}={show(key[switch])}")
            words += [_phrase(name, key[name]) for name in options if name in names]
    return " ".join(words) or "transform=none"
