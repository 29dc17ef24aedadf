"""JSON inside a page."""

import json
from typing import Any


def script_json(value: Any) -> str:
    """Return JSON that can stand in a script element: nothing in it ends or opens one."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
