"""From a resolved configuration to the objects of a run; what alone knows every registry.

Importing it imports torch and everything that registers itself; the command line does so only once
a run really starts.
"""

import optlab.models
import optlab.tasks  # noqa: F401 - fills the registry
from optlab.build.cautions import Built, cautions
from optlab.build.parts import build, parts_of
from optlab.build.sections import refuse_unknown_sections, resolve_device, section
from optlab.build.update import update_of

__all__ = [
    "Built",
    "build",
    "cautions",
    "parts_of",
    "refuse_unknown_sections",
    "resolve_device",
    "section",
    "update_of",
]
