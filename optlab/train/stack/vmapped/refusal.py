"""What cannot be stacked, and why."""

from optlab.train.parts import Parts, RuleChoice


class NotStackable(Exception):
    """Runs have to be trained singly; the message says why."""


def rule_of(parts: Parts) -> RuleChoice:
    """Return the rule of a run.

    Raises:
        NotStackable: When it has none, or is to run it as an optimizer object.
    """
    chosen = parts.optimizer
    if not isinstance(chosen, RuleChoice):
        target = chosen.get("target", "of others")
        raise NotStackable(f"optimizer {target} is no rule of optlab: it is one object per run")
    if parts.trainer.engine == "plain":
        raise NotStackable("trainer.engine=plain trains a module and an optimizer object per run")
    return chosen
