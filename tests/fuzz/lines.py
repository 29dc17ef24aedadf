"""Lines as somebody might type them: right, nearly right, and wrong."""

import functools
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

CONFIGS = Path(__file__).parents[2] / "configs"
GROUPS = {f.name: sorted(p.stem for p in f.glob("*.yaml")) for f in CONFIGS.iterdir() if f.is_dir()}
#: Lines of the README, in pieces; what is tried is often near one of these words.
REAL = (
    *("optimizer=adam", "optimizer=nag,adam", "optimizer.lr=1e-3,1e-2", "'seed=range(0,2)'"),
    *("optimizer.lr=tag(log,interval(1e-4,1e-1))", "search=halton", "trials=3", "seed=0,1"),
    *("model.hidden=[64,32]", "model.hidden=[8],[4,4]", "norm=batchnorm", "trainer.epochs=1"),
    *("optimizer=foreign", "optimizer.target=torch.optim.SGD", "+optimizer.momentum=0.9"),
    *("optimizer=glob(*)", "optimizer=glob([a*,n*],exclude=nad*)", "~seed", "++seed=1"),
    *("hydra.run.dir=out", "sweep.dir=out", "sweep.engine=single", "experiment=xor", "loss=auto"),
    *("task={name:xor}", "seed=sort(2,1)", "seed=shuffle(1,2)", "seed=choice(1,2)", "trainer@x=y"),
    *("plugins=[]", "device=cpu", "logger=none", "trainer={epochs:1}", "regularizer.l1=null"),
)
VALUES = (
    *("0", "1", "-1", "0.5", "1e-3", "1e999", "nan", "inf", "-inf", "null", "true", "False", "''"),
    *("[]", "[1,2]", "[[1]]", "{}", "{a:1}", "a b", "a,b", "1,2", "range(3)", "range(0,2,0.5)"),
    *("range(1,0)", "choice()", "interval(0,1)", "interval(1,0)", "tag(log,interval(0,1))"),
    *("glob(*)", "glob(a)", "int(1.5)", "float(x)", "str(1)", "bool(2)", "json_str({})", "sort()"),
    *("${seed}", "${nope}", "${oc.env:NOPE}", "${", "$", "???", "\\", '"', "'a", "é", "\N{BOM}"),
    *("extend_list(1)", "shuffle(range(3))", "tag(a,b,1)", "0x10", "1_0", "01", "1e", "adam"),
)


@functools.cache
def keys() -> list[str]:
    """Return options by dotted name, groups, and what belongs to Hydra or a sweep."""
    found = ["seed", "device", "plugins", "search", "trials", "sweep.search", "sweep.trials"]
    for group, choices in GROUPS.items():
        found.append(group)
        for choice in choices:
            content: Any = yaml.safe_load((CONFIGS / group / f"{choice}.yaml").read_text()) or {}
            found += [f"{group}.{option}" for option in content if isinstance(option, str)]
    return sorted(set(found))


@st.composite
def assignments(draw: st.DrawFn) -> str:
    """Return a key that there is, or nearly, with a value that it may have, or not."""
    key = draw(st.sampled_from(keys()))
    choices = [name for name in GROUPS.get(key, []) if "mnist" not in name and "cifar" not in name]
    values = st.sampled_from(VALUES) | st.text(max_size=6)
    value = draw(st.sampled_from(choices) | values if choices else values)
    prefix = draw(st.sampled_from(("", "", "", "+", "++", "~")))
    suffix = draw(st.sampled_from(("", "", "", "", "@x", "@", ":a", ".x")))
    return f"{prefix}{key}{suffix}={value}"


@st.composite
def bent(draw: st.DrawFn) -> str:
    """Return a real word with characters changed, lost or added."""
    word = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(word)))
        cut = draw(st.integers(0, 2))
        added = draw(st.text(st.sampled_from("=,.()[]{}:@~+$'\"\\ *-0aé\t\n"), max_size=2))
        word = word[:at] + added + word[at + cut :]
    return word


#: Words that would fetch files, start what takes long, or be no override.
REACHES = ("mnist", "cifar", "hydra", "--", "root")


def words() -> st.SearchStrategy[list[str]]:
    """Return the words of one line."""
    word = st.one_of(st.sampled_from(REAL), assignments(), bent(), st.text(max_size=12))
    is_harmless = word.filter(lambda w: not w.startswith("-") and all(r not in w for r in REACHES))
    return st.lists(is_harmless, min_size=1, max_size=4)
