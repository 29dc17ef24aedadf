"""``optlab train --check-determinism``: a few updates made again, here and in a fresh process.

``python -m optlab.sweep.determinism`` is that process. It reads its orders, one JSON object, from
its standard input, and answers with digests on its standard output.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from optlab.config import ConfigError, check_value
from optlab.environment import environment
from optlab.plugins import import_plugins
from optlab.sweep.consent import refuse_unnamed_code
from optlab.sweep.planned import chosen_sections, of_the_run
from optlab.types import Natural

if TYPE_CHECKING:
    from optlab.train.determinism import Difference, Pass, Place

HERE, ELSEWHERE = "made again in the same process", "made in a fresh process"

REMEDY = (
    "a run depends on its configuration alone when whatever is random draws from torch's global "
    "generator, which starts from the run's seed, or from optlab.seeding"
)
CAUSES = {
    "data": "the task's load() reads something that changes",
    "weight": "the model's constructor reads something that changes",
    "evaluation": "the model's forward reads something that changes",
    "loss": "the model's forward reads something that changes",
    "gradient": "an operation of the model adds in an order that changes",
    "optimizer state": "the optimizer reads something that changes",
}


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        things: Tensors and numbers that were compared.
        updates: Updates of each pass.
        engine: How they were made.
        machine: What `optlab.environment.environment` says.
        difference: The first difference, if there is one.
        where: In which pass it was.
    """

    things: int
    updates: int
    engine: str
    machine: Mapping[str, Any]
    difference: "Difference | None" = None
    where: str = ""

    def text(self) -> str:
        """Return it for a person."""
        machine = self.machine
        versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
        by = f"engine {self.engine}, {machine['device']}, {threads}, {versions}"
        if self.difference is None:
            return (
                f"bitwise equal: {self.things} tensors and numbers over {self.updates} updates, "
                f"twice in one process and once in a fresh one\n{by}"
            )
        place, detail = self.difference.place, self.difference.detail
        when = f"at update {place.update}" if place.update else "before the first update"
        cause = f"{CAUSES[place.kind]}; " if place.kind in CAUSES else ""
        return (
            f"not deterministic: {place.kind} {place.name} differs first, {when}, {self.where}"
            f"{': ' * bool(detail)}{detail}\n"
            f"{self.difference.count} of {self.things} tensors and numbers over {self.updates} "
            f"updates differ\n{cause}{REMEDY}\n{by}"
        )

    def summary(self) -> dict[str, Any]:
        """Return it for a program."""
        found = self.difference
        first = found and {**found.place._asdict(), "detail": found.detail, "where": self.where}
        return {
            "deterministic": found is None,
            "compared": self.things,
            "updates": self.updates,
            "differing": found.count if found else 0,
            "first_difference": first,
            "engine": self.engine,
            **self.machine,
        }


def check_determinism(arguments: Sequence[str]) -> list[Finding]:
    """Check the run that ``optlab train ARGUMENTS`` stands for; it leaves nothing behind.

    Returns:
        What was found; nothing where the arguments only ask for help.

    Raises:
        ConfigError: For what the user typed.
    """
    from optlab.sweep.hydra_app import launch
    from optlab.sweep.words import MULTIRUN_FLAGS

    if MULTIRUN_FLAGS & set(arguments):
        raise ConfigError("--check-determinism is for one run: give single values, without -m")
    found: list[Finding] = []

    def check(config: DictConfig) -> float:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
        assert isinstance(resolved, dict)
        own, words = of_the_run(resolved), HydraConfig.get().overrides.task
        refuse_unnamed_code(own, words)
        found.append(finding_on(own, chosen_sections(words)))
        return float("nan")

    launch([*arguments, "hydra.run.dir=."], check)
    return found


def finding_on(config: dict[str, Any], chosen: frozenset[str]) -> Finding:
    """Compare passes of a configuration."""
    from optlab.train.determinism import digests, first_difference, first_difference_of_digests

    first = _pass(config, chosen)
    difference, where = first_difference(first, _pass(config, chosen)), HERE
    if difference is None:
        elsewhere = _digests_of_a_fresh_process(config, chosen)
        difference, where = first_difference_of_digests(digests(first), elsewhere), ELSEWHERE
    last = list(first)[-1]
    machine = environment(_device(config), config.get("plugins") or ())
    return Finding(len(first), last.update, first[last], machine, difference, where)


def _pass(config: dict[str, Any], chosen: frozenset[str]) -> "Pass":
    from optlab.build import parts_of
    from optlab.train.determinism import passed

    seed = config["seed"] = check_value(config.get("seed"), Natural, "seed")
    import_plugins(config.get("plugins") or [])
    return passed(lambda: parts_of(config, chosen), seed, _device(config))


def _device(config: Mapping[str, Any]) -> str:
    from optlab.build import resolve_device

    return str(resolve_device(config["device"]))


def _digests_of_a_fresh_process(
    config: dict[str, Any], chosen: frozenset[str]
) -> dict["Place", str]:
    from optlab.train.determinism import Place

    done = subprocess.run(
        [sys.executable, "-m", "optlab.sweep.determinism"],
        input=json.dumps({"config": config, "chosen": sorted(chosen)}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ChildProcessError(
            "the same updates failed in a fresh process; what it said stands above"
        )
    return {Place(*place): digest for *place, digest in json.loads(done.stdout.splitlines()[-1])}


def main() -> int:
    """Make a pass as ordered."""
    from optlab.train.determinism import digests

    orders = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # a plugin may print
        found = digests(_pass(orders["config"], frozenset(orders["chosen"])))
    print(json.dumps([[*place, digest] for place, digest in found.items()]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
