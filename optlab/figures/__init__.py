"""Pictures of one run: pure functions from arrays to matplotlib figures. Imports no torch."""
