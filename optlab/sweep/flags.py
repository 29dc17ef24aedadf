"""The flags of ``train`` and ``sweep``, checked before Hydra answers a wrong one with its usage."""

from collections.abc import Sequence

from hydra._internal.utils import get_args_parser

from optlab.config import ConfigError, unknown_name
from optlab.sweep.command import FLAGS

#: Flags of the commands themselves, which are taken before Hydra sees the others.
OWN = ("--status", "--quiet", "--json", "--check-determinism")


def refuse_unknown_flags(flags: Sequence[str]) -> None:
    """Refuse flags that nobody knows, and values of flags that are missing or not allowed.

    Args:
        flags: Flags as typed, each followed by its value or joined to it by ``=``.

    Raises:
        ConfigError: Naming the flag and the known ones, nearest first.
    """
    parser = get_args_parser()
    known = [name for action in parser._actions for name in action.option_strings]

    def refuse(message: str) -> None:
        raise ConfigError(message.removeprefix("argument "))

    parser.error = refuse  # type: ignore[assignment,method-assign]
    _, rest = parser.parse_known_args(list(flags))
    for flag in rest:
        name = flag.partition("=")[0]
        if name in FLAGS:
            raise ConfigError(f"{name} is for a sweep: optlab sweep {name} ...")
        if name.startswith("-"):
            long = [option for option in known if option.startswith("--")]
            raise unknown_name("flag", name, [*long, *FLAGS, *OWN])
