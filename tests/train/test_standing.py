"""How a run stands after its evaluations: the best of them, when to stop, and what to say."""

import math

import pytest

from optlab.config.schema import TrainerConfig
from optlab.train.standing import Diverged, Standing


class Weights:
    """A run of which only the weights count; the iterate is one beside where it steps."""

    def __init__(self, value):
        self.value = value

    def at_iterate(self):
        run = self

        class Iterate:
            def __enter__(self):
                run.value += 1

            def __exit__(self, *_):
                run.value -= 1

        return Iterate()

    def snapshot(self):
        return self.value

    def restore(self, snapshot):
        self.value = snapshot


def judged(losses, **trainer):
    standing = Standing(TrainerConfig(**trainer))
    best = [standing.judge(epoch, {"loss": loss}) for epoch, loss in enumerate(losses)]
    return standing, best


def test_the_best_evaluation_is_kept_whether_or_not_training_may_stop():
    standing, best = judged([3.0, 1.0, 2.0])
    assert best == [True, True, False]
    assert standing.outcome.best_epoch == 1.0
    assert standing.outcome.best_val == {"loss": 1.0}
    assert not standing.stops_early()
    assert standing.outcome.cause is None


def test_what_stops_a_training_is_said_in_epochs():
    standing, _ = judged([3.0, 1.0, 2.0, 0.9], patience=2, min_delta=0.25, eval_every=5)
    assert standing.stops_early()
    cause = "no better validation loss by more than 0.25 since epoch 5"
    assert standing.outcome.cause == cause


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_no_evaluation(loss):
    standing, _ = judged([1.0])
    standing.outcome.updates = 7
    with pytest.raises(Diverged, match=f"validation loss became {loss} at update 7"):
        standing.judge(1, {"loss": loss})
    assert standing.outcome.best_val == {"loss": 1.0}


def test_a_run_ends_at_its_iterate_unless_it_goes_back_to_its_best_weights():
    plain, run = Standing(TrainerConfig()), Weights(5)
    plain.settle(run)
    assert run.value == 6
    for restores, expected in ((True, 2), (False, 6)):
        standing, run = Standing(TrainerConfig(patience=1, restore_best=restores)), Weights(5)
        standing.best_weights = 2
        standing.settle(run)
        assert run.value == expected
