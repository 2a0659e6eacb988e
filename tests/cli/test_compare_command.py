"""`text2x compare`: two recipes compared through the command, rendered again, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from painter import Run


@pytest.mark.medium
def test_two_recipes_are_compared_and_rendered_again_without_training(run: Run) -> None:
    given = ["compare", "debug-gan", "debug-dit", "--set", "debug"]
    code, printed, errors = run(*given, "--operations", "3e9", "--device", "cpu")
    assert code == 0, errors
    assert printed.splitlines()[:3] == [
        f"out/compare-debug/{name}" for name in ("report.md", "report.json", "sheet.png")
    ]
    page = Path("out/compare-debug/report.md").read_text()
    assert "$ text2x compare debug-gan debug-dit --operations 3000000000.0 --set debug" in page
    assert "| debug-gan against debug-dit | fidelity |" in page
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*") if path.is_file()}
    code, printed, errors = run(*given, "--render", "-o", "docs")
    assert code == 0, errors
    assert "$ text2x compare debug-gan debug-dit --set debug --render" in Path("docs/report.md").read_text()
    assert before == {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--set", "imag"], "unknown set of comparisons 'imag'"),
        (["unett"], "unknown method or recipe 'unett'"),
        (["unet"], "'unet' alone cannot be compared"),
        (["--budget", "soon"], "cannot read the budget 'soon'"),
        (["--budget", "1m", "--operations", "1e9"], "give one budget"),
        (["--render"], "comparison.json is missing"),
        (["--render", "--budget", "1m"], "--render trains nothing"),
        (["unet", "gan", "--data", "unheard-of"], "no data set at"),
        (["upsampler", "debug", "--set", "debug"], "reads no prompt"),
        (["debug-gan", "sora", "--set", "debug-video"], "makes no clips"),
        (["-o", "file"], "file is a file and no folder"),
    ],
)
def test_what_cannot_be_compared_is_one_line(run: Run, arguments: list[str], named: str) -> None:
    Path("file").write_text("")
    code, printed, errors = run("compare", *arguments)
    assert code == 2 and printed == ""
    assert len(errors.splitlines()) == 1 and named in errors
