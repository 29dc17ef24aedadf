"""Statistics of repeated, paired and ranked measurements; no torch."""
