"""Many runs: composed, checked, planned, entered into a ledger and trained together."""
