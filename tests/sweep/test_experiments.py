"""Every preset trains as it is, for two epochs."""

from pathlib import Path

import pytest
import yaml

from optlab.results import read_result

PRESETS = sorted((Path(__file__).parents[2] / "configs" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_trains(train, preset):
    tiny = ["logger.console=false", "trainer.epochs=2"]
    where = train("run", f"experiment={preset.stem}", tiny=tiny)
    assert read_result(where).status == "done"
    wanted = yaml.safe_load(preset.read_text())["model"]
    assert (
        yaml.safe_load((where / "config.yaml").read_text())["model"]["hidden"] == wanted["hidden"]
    )
