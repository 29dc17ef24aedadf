"""Maps of losses: optimizers' paths over test functions, and slices of a network's loss surface."""
