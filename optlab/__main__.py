"""``python -m optlab``: the command line."""

import sys

from optlab.cli import main

sys.exit(main())
