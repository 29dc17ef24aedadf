"""``python -m optlab``, and ``optlab``: the command line, which may be stopped while it starts."""

import sys


def run() -> int:
    """Run the command line and return its exit code."""
    try:
        from optlab.cli import main

        return main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(run())
