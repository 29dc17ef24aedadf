"""Two sweeps started at once in one folder: each run is trained once, and no sweep is mixed up."""

from optlab.cli import main
from optlab.sweep.ledger_reader import LedgerReader
from tests.sweep.faults.sweeps import finish, start, states, swept


def test_the_same_line_twice_at_once_trains_every_run_once(folder):
    line = swept("s", "seed=range(0,6)", "sweep.engine=single")
    ends = [finish(process) for process in (start(*line), start(*line))]
    for code, _, said in ends:
        assert code in (0, 1)  # 1: what the other was still training was unfinished
        assert "Traceback" not in said
    with LedgerReader(folder / "s") as ledger:
        entries = ledger.entries()
    assert [(entry.state, entry.attempts) for entry in entries] == [("done", 1)] * 6
    assert main(line) == 0


def test_of_two_lines_at_once_one_has_the_folder_and_the_other_is_refused(folder):
    lines = swept("s", "seed=range(0,2)"), swept("s", "optimizer.lr=0.1,0.2")
    ends = [finish(process) for process in [start(*line) for line in lines]]
    codes = [code for code, _, _ in ends]
    assert sorted(codes) == [0, 2]
    (refused,) = [said for code, _, said in ends if code == 2]
    assert "holds a sweep that varies" in refused
    assert "add its runs with --extend, or choose another sweep.dir" in refused
    assert list(states(folder / "s").values()) == ["done", "done"]
