"""Runs one after another: what the contract of a backend says of them."""

import torch

from optlab.train.stack.sequential import Sequential
from tests.train.stack.configs import parts

COMMON = ("task.rows=80",)


def stack_of(*each):
    made = parts(COMMON, each, "blobs")
    return made, Sequential([part.run() for part in made])


def test_updates_are_those_of_each_run_and_values_come_before_each():
    each = (("optimizer=adam",), ("optimizer=nag", "seed=1"))
    rows = torch.arange(24).view(2, 3, 4)
    factors = torch.tensor([[1.0, 0.5, 0.25], [0.1, 1.0, 1.0]], dtype=torch.float64)
    _, stack = stack_of(*each)
    values = stack.advance([0, 1], rows, factors)
    made, _ = stack_of(*each)
    for run, part in enumerate(made):
        alone = part.run()
        expected = [torch.stack(alone.step(rows[run, k], factors[run, k].item())) for k in range(3)]
        assert torch.equal(values[run], torch.stack(expected))
        pairs = zip(part.module.parameters(), stack.members[run].module.parameters(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


def test_all_rows_are_taken_where_none_are_named():
    _, stack = stack_of(("seed=0",), ("seed=1",))
    values = stack.advance([1], None, torch.ones(1, 2, dtype=torch.float64))
    (part,), _ = stack_of(("seed=1",))
    run = part.run()
    assert torch.equal(values[0], torch.stack([torch.stack(run.step(None, 1.0)) for _ in range(2)]))


def test_runs_that_are_left_out_stand_still():
    made, stack = stack_of(("seed=0",), ("seed=1",))
    before = [p.detach().clone() for p in made[0].module.parameters()]
    stack.advance([1], None, torch.ones(1, 1, dtype=torch.float64))
    assert all(torch.equal(*pair) for pair in zip(before, made[0].module.parameters(), strict=True))


def test_evaluation_is_at_the_iterate_without_roots():
    made, stack = stack_of(("optimizer=nag",), ("optimizer=adam",))
    stack.advance([0, 1], None, torch.ones(2, 3, dtype=torch.float64))
    means = stack.evaluate([0, 1], made[0].data.val)
    assert (means.dtype, means.shape) == (torch.float64, (2, 2))
    for member, row in zip(stack.members, means.tolist(), strict=True):
        with member.at_iterate():
            expected = member.objective.evaluate(member.module, made[0].data.val)
        assert member.objective.shown(row) == expected
    stands = made[0].objective.evaluate(made[0].module, made[0].data.val)
    assert made[0].objective.shown(means[0].tolist()) != stands  # NAG steps from elsewhere


def test_execution_names_every_way_once():
    _, stack = stack_of(("trainer.engine=plain",), ("optimizer=nag",), ("optimizer=adam",))
    stack.advance([0, 1, 2], None, torch.ones(3, 1, dtype=torch.float64))
    ways = [run.execution for run in stack.members]
    assert stack.execution == "; ".join(dict.fromkeys(ways))
