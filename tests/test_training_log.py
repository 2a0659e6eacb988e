"""What a training run tells: lines that come back, curves, and the sentence at its end."""

import sys
from pathlib import Path
from typing import Any

import pytest

from text2x.training_log import Outcome, TrainingLog, TrainingProgress, draw_curves, read_log


def test_the_log_drops_what_was_written_after_its_length(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl")
    log.write(1, {"loss": 0.123456789, "bad": float("inf"), "names": ["ü"]})
    kept = log.num_bytes()
    log.write(2, {"loss": 0.1})
    log.close()
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"step": 3, "lo')
    assert [line["step"] for line in read_log(tmp_path / "log.jsonl")] == [1, 2]
    again = TrainingLog(tmp_path / "log.jsonl", kept)
    again.write(2, {"loss": 0.2})
    again.close()
    assert read_log(tmp_path / "log.jsonl") == [
        {"step": 1, "loss": 0.123457, "bad": None, "names": ["ü"]},
        {"step": 2, "loss": 0.2},
    ]


def test_a_lost_log_begins_anew(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl", 1000)
    log.write(7, {})
    log.close()
    assert (tmp_path / "log.jsonl").read_text() == '{"step": 7}\n'


def test_missing_matplotlib_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    note = draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    assert note is not None and "text2x[eval]" in note
    assert not (tmp_path / "curves.png").exists()


@pytest.mark.medium
def test_curves_are_drawn_from_whatever_the_log_has(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    log = TrainingLog(tmp_path / "log.jsonl")
    log.write(0, {"begin": {"device": "cpu"}, "changed": []})
    assert draw_curves(log.path, tmp_path / "empty.png") is None
    for step in (1, 2):
        log.write(step, {"loss": 1.0 / step, "kl": -0.5, "learning_rate": 0.1, "seconds": 3.0})
        log.write(step, {"average": "0.9", "held_out": None, "held_out/t=0.5": 0.3})
    log.close()
    assert draw_curves(log.path, tmp_path / "full.png") is None
    for name in ("empty.png", "full.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_without_a_terminal_a_plain_line_comes_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TrainingProgress(steps=1000, done=400, batch_size=64)
    progress.advance(401, 0.5)
    assert capsys.readouterr().err == ""
    progress.began -= 61
    progress.told -= 61
    progress.advance(500, 0.5)
    assert capsys.readouterr().err == "step 500 of 1,000, loss 0.5, 105 samples/s, 5 min left\n"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("finished", "finished at step 9: loss 0.5; runs/a"),
        ("interrupted", "stopped at step 9; the same command goes on from here"),
        ("early stop", "stopped early, the held-out loss no longer improves, at step 9: loss 0.5; runs/a"),
    ],
)
def test_an_outcome_is_a_sentence(reason: Any, text: str) -> None:
    assert str(Outcome(9, reason, {"loss": 0.5}, Path("runs/a"))) == text
