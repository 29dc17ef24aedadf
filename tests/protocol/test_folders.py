"""Where a protocol is followed, and what it takes to ask."""

import subprocess
import sys

from optlab.protocol.folders import stages


def test_stages_are_those_that_have_begun_in_order(tmp_path):
    for name in ("rerun", "tune", "baselines/tune", "other"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("rerun", "tune", "other"):
        (tmp_path / name / "ledger.sqlite").touch()
    assert stages(tmp_path) == [tmp_path / "tune", tmp_path / "rerun"]


def test_to_ask_whether_a_line_follows_one_imports_no_part_of_a_report():
    code = (
        "import sys; from optlab.protocol.command import concerns_protocol; "
        "concerns_protocol(['optimizer=adam', 'sweep.dir=out']); "
        "sys.exit(any(name.startswith(('optlab.report', 'scipy')) for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
