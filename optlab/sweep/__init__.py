"""Many runs: what one job of a multirun does, and what is left of it."""
