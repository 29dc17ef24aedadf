"""Whether compiled programs take a run, tried before its sweep is planned."""

from optlab.build import parts_of
from optlab.compiler import NotCompiled
from optlab.plugins import import_plugins
from optlab.seeding import global_stream
from optlab.sweep.planned import PlannedRun
from optlab.train.native import Native


def refusal_of_native(run: PlannedRun) -> str:
    """Return why compiled programs cannot train a run, or nothing.

    They take whatever optlab itself brings. A plugin may do what cannot be recorded, so a run with
    plugins is tried; what is compiled for it is used again when the run is trained.
    """
    if not run.config["plugins"]:
        return ""
    import_plugins(run.config["plugins"])
    with global_stream(run.config["seed"], "cpu"):
        parts = parts_of({**run.config, "device": "cpu"}, run.chosen)
        try:
            Native([parts], threads=1).evaluate([0], parts.data.val)
        except NotCompiled as error:
            return str(error)
    return ""
