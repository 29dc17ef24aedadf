"""Why a run is not started: nothing that is there may be lost."""

from optlab.config import ConfigError


class FolderTakenError(ConfigError):
    """The folder holds another run, or another process is training in it; nothing was touched."""


class SweepRefused(BaseException):  # ends a sweep at once, past Hydra's handlers
    """A sweep was started into the folder of another one."""
