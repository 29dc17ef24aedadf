"""optlab: a GPU-accelerated optimizer research toolkit on PyTorch.

Import the parts you need: ``from optlab.optim import Adam``, ``from optlab.nn import
BatchNorm1d``, ``from optlab.init import he_normal_``. This module imports nothing heavy, so that
``optlab --help`` answers at once.
"""

__version__ = "0.1.0"
