"""Event files of others become runs that a report is made of."""

import math
from pathlib import Path

import pytest
import torch.utils.tensorboard
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import summary_v2 as hparams

from optlab.cli import main
from optlab.config import ConfigError
from optlab.loggers.table import read_metrics
from optlab.records import collect
from optlab.report.foreign import import_runs
from optlab.report.foreign.gathering import foreign_runs
from optlab.report.ranking import rank
from tests.report.foreign.test_event_reader import scalar, write


def torch_run(folder: Path, curve: dict[str, list[float]], **options: object) -> None:
    """Write a run as most people do."""
    with torch.utils.tensorboard.SummaryWriter(str(folder)) as writer:
        for tag, values in curve.items():
            for step, value in enumerate(values):
                writer.add_scalar(tag, value, 10 * step, walltime=1e9 + step)
        if options:
            writer.add_hparams(options, {"hparam/accuracy": 0.0})


def test_a_folder_of_runs_by_torch_is_ranked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for lr, end in ((0.1, 0.9), (0.01, 0.5)):
        for seed in (0, 1):
            curve = {"val/acc": [0.1, end + 0.01 * seed], "Loss/train": [2.0, 1.0]}
            torch_run(tmp_path / "logs" / f"lr={lr},seed={seed}", curve)
    before = sorted((tmp_path / "logs").rglob("*"))
    assert main(["report", "--tensorboard", "logs"]) == 0
    said = capsys.readouterr()
    assert "val/acc is read as accuracy/val (4 runs)" in said.err
    rows = [line.split() for line in said.out.splitlines() if line.strip().startswith(("1 ", "2 "))]
    assert [row[1] for row in rows] == ["0.1", "0.01"]
    assert sorted((tmp_path / "logs").rglob("*")) == before
    assert (tmp_path / "logs_report" / "report.html").is_file()
    records = collect(tmp_path / "logs_report")
    assert [r.result.val["accuracy"] for r in records] == pytest.approx([0.5, 0.51, 0.9, 0.91])
    assert main(["report", "--tensorboard", "logs"]) == 0  # once more, in place of the first


def test_no_run_stands_for_another_of_the_same_rate_and_seed(tmp_path):
    for method, end in (("adam", 1.0), ("sgd", 2.0)):
        for seed in (0, 1):
            torch_run(tmp_path / "logs" / method / f"lr=0.1,seed={seed}", {"val_loss": [3.0, end]})
    made = import_runs(tmp_path / "logs", tmp_path / "runs")
    cells = rank(collect(made.folder)).cells
    assert [(cell.label, cell.runs, cell.val.mean) for cell in cells] == [
        ("run=adam", 2, 1.0), ("run=sgd", 2, 2.0),
    ]  # fmt: skip
    assert any(line.startswith("4 runs are told apart by their folders") for line in made.told)


def test_curves_are_read_back_as_they_were(tmp_path):
    torch_run(tmp_path / "logs" / "a", {"val_loss": [3.0, 2.0, 2.5], "extra": [7.0]})
    made = import_runs(tmp_path / "logs", tmp_path / "runs")
    (record,) = collect(made.folder)
    rows = read_metrics([record.folder], ["loss/val", "extra"])
    assert sorted(rows.select("tag", "update", "value").rows()) == [
        ("extra", 0, 7.0), ("loss/val", 0, 3.0), ("loss/val", 10, 2.0), ("loss/val", 20, 2.5),
    ]  # fmt: skip
    assert (record.result.updates, record.result.total_s) == (20, 2.0)
    assert record.result.started == "2001-09-09T01:46:40+00:00"


def test_hyperparameters_of_torch_stand_in_a_folder_within_the_run(tmp_path):
    torch_run(tmp_path / "a", {"val_loss": [1.0]}, lr=0.25, optimizer="adam")
    (run,) = foreign_runs(tmp_path)
    assert (run.name, run.hparams) == ("a", {"lr": 0.25, "optimizer": "adam"})


def test_lines_of_one_chart_belong_to_one_run(tmp_path):
    with torch.utils.tensorboard.SummaryWriter(str(tmp_path / "a")) as writer:
        writer.add_scalar("lr", 0.1, 0)
        writer.add_scalars("run/loss", {"train": 2.0, "val": 3.0}, 0)
    (run,) = foreign_runs(tmp_path)
    values = {tag: [value for *_, value in points] for tag, points in run.points.items()}
    assert values == {
        "lr": [pytest.approx(0.1)], "run/loss/train": [2.0], "run/loss/val": [3.0]
    }  # fmt: skip


def test_folders_of_splits_by_keras_are_one_run(tmp_path):
    for seed in (0, 1):
        run = tmp_path / "logs" / f"trial{seed}"
        write(run, Event(summary=hparams.hparams_pb({"lr": 0.1, "seed": seed})))
        write(run / "train", scalar("epoch_loss", 0, 2.0), scalar("epoch_loss", 1, 1.0))
        points = [scalar("epoch_loss", 0, 2.5), scalar("epoch_accuracy", 1, 0.75)]
        write(run / "validation", *points)
    made = import_runs(tmp_path / "logs", tmp_path / "runs")
    records = collect(made.folder)
    assert [record.result.name for record in records] == ["trial0", "trial1"]
    assert [record.result.seed for record in records] == [0, 1]
    assert records[0].result.val == {"loss": 2.5, "accuracy": 0.75}
    assert records[0].result.train == {"loss": 1.0}
    assert records[0].options["optimizer.lr"] == 0.1


@pytest.mark.parametrize("tag", ["val_loss", "train_loss", "val_acc"])
@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_a_run_whose_last_value_is_no_number_diverged(tmp_path, tag, end):
    curves = {"val_loss": [1.0, 0.5], "train_loss": [1.0, 0.5], "val_acc": [0.1, 0.5]}
    curves[tag][-1] = end
    torch_run(tmp_path / "logs" / "bad", curves)
    (record,) = collect(import_runs(tmp_path / "logs", tmp_path / "runs").folder)
    assert record.result.status == "diverged"
    assert record.result.cause.endswith(f"is {end} at step 10")


def test_percent_become_shares_and_that_is_said(tmp_path):
    torch_run(tmp_path / "logs" / "a", {"val_acc": [10.0, 92.5]})
    made = import_runs(tmp_path / "logs", tmp_path / "runs")
    assert "accuracies beyond 1 are read as percent" in made.told
    (record,) = collect(made.folder)
    assert record.result.val["accuracy"] == pytest.approx(0.925)


def test_what_is_no_accuracy_is_refused_as_one(tmp_path):
    torch_run(tmp_path / "logs" / "a", {"reward": [-5.0, 700.0]})
    with pytest.raises(ConfigError, match="share of rows or percent, got -5 to 700 in reward"):
        import_runs(tmp_path / "logs", tmp_path / "runs", metric="reward")


def test_epochs_are_those_that_were_noted(tmp_path):
    torch_run(tmp_path / "logs" / "a", {"val_loss": [3.0, 2.0, 1.0], "epoch": [0.0, 1.0, 2.0]})
    made = import_runs(tmp_path / "logs", tmp_path / "runs")
    (record,) = collect(made.folder)
    assert record.result.epochs == 2.0
    assert read_metrics([record.folder], ["loss/val"])["epoch"].to_list() == [0.0, 1.0, 2.0]
    assert not any("taken for an epoch" in line for line in made.told)


def test_a_folder_that_is_itself_a_run_is_one(tmp_path):
    torch_run(tmp_path / "logs", {"val_loss": [1.0]})
    torch_run(tmp_path / "logs" / "logs", {"val_loss": [2.0]})
    made = import_runs(tmp_path / "logs", tmp_path / "runs")
    found = {record.result.name: record.result.val["loss"] for record in collect(made.folder)}
    assert found == {"logs_": 1.0, "logs": 2.0}


def test_an_older_import_is_replaced_and_anything_else_stays(tmp_path):
    torch_run(tmp_path / "logs" / "a", {"val_loss": [1.0]})
    torch_run(tmp_path / "other" / "b", {"val_loss": [1.0]})
    import_runs(tmp_path / "logs", tmp_path / "runs")
    made = import_runs(tmp_path / "other", tmp_path / "runs")
    assert [record.result.name for record in collect(made.folder)] == ["b"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds something else than imported runs"):
        import_runs(tmp_path / "logs", mine)
    assert (mine / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tensorboard", "nowhere"], "no folder 'nowhere'"),
        (["--tensorboard", "empty"], "no scalars of TensorBoard below 'empty'"),
        (["empty", "--metric", "a"], "--metric names a tag of event files"),
    ],
)
def test_mistakes_are_said_in_a_sentence(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(["report", *words]) == 2
    assert message in capsys.readouterr().err


def test_folders_that_are_no_runs_are_left_out_and_named(tmp_path):
    torch_run(tmp_path / "logs" / "a", {"val_loss": [1.0]})
    torch_run(tmp_path / "logs" / "summary", {"mean": [1.0]})
    made = import_runs(tmp_path / "logs", tmp_path / "runs")
    assert made.runs == 1
    assert "1 folder without any of these left out: summary" in made.told


def test_the_page_says_how_logs_were_read_and_what_ranks_their_runs(tmp_path):
    torch_run(tmp_path / "logs" / "a", {"Loss/test": [1.0, 0.5]})
    assert main(["report", "--tensorboard", str(tmp_path / "logs"), "--to", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "How the logs were read" in page
    assert "Loss/test ranks the runs, as they have no validation values" in page
    assert main(["report", str(tmp_path / "imported")]) == 0  # as any folder of runs
    assert "How the logs were read" in (tmp_path / "imported" / "report.html").read_text()


def test_a_report_of_a_folder_of_logs_alone_names_the_flag_that_reads_them(tmp_path, capsys):
    torch_run(tmp_path / "logs" / "a", {"val_loss": [1.0]})
    assert main(["report", str(tmp_path / "logs")]) == 2
    assert "logs of others are read with --tensorboard DIR" in capsys.readouterr().err
