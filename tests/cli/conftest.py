"""The command line in an empty folder, with a painter in place of a network and a model folder called mine."""

import io
import sys
from pathlib import Path

import pytest
from painter import Painter, Run

import text2x.cli.image
from text2x.cli import main


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in an empty folder with a model called mine; gives exit code, standard output and error."""
    models = tmp_path / ".models"
    (models / "mine").mkdir(parents=True)
    (models / "mine" / "recipe.json").write_text('{"name": "mine", "summary": "Paints.", "licence": "CC0-1.0"}')
    monkeypatch.setenv("TEXT2X_MODELS", str(models))
    monkeypatch.setenv("TEXT2X_CACHE", str(tmp_path / ".cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(text2x.cli.image, "load", lambda *_: Painter())

    def call(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(each) for each in arguments])
        output = capfd.readouterr()
        return code, output.out, output.err

    return call
