"""The documentation is executed: code and commands run, options and make targets exist, links lead somewhere.

The word after a fence's language says what is done. python: executed, the blocks of a page in order and in one
namespace. `console run`: its `$ text2x` commands are run, in the page's own empty folder. `console`: only the names of
commands and options are checked. `needs-model` after either: left out while no model is shipped.
"""

import functools
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from text2x.cli import app

pytestmark = pytest.mark.medium

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHIPPED = ROOT / "src" / "text2x" / "shipped" / "emoji" / "recipe.json"
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
WORDS = {"python", "console", "run", "needs-model", "text", "json", "csv", "make", ""}


@dataclass(frozen=True)
class Block:
    """A fenced piece of a page."""

    line: int
    words: tuple[str, ...]  # language, then what is to be done with it
    code: str


def name_of(path: Path) -> str:
    """The page as test names show it."""
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced pieces of a page in order."""
    text = page.read_text("utf-8")
    found = FENCE.finditer(text)
    return [Block(text.count("\n", 0, m.start()) + 2, tuple(m[1].split()), m[2]) for m in found]


def commands(block: Block) -> list[str]:
    """What a reader would type: the lines that begin with a dollar sign."""
    joined = block.code.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def run_command(command: str, folder: Path) -> str:
    """Run a `text2x` command line as a reader would, and give what it prints."""
    words = shlex.split(command, comments=True)
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_block(block: Block, page: Path, names: dict[str, object]) -> None:
    """Execute one block in the current folder."""
    if block.words[0] == "python":
        exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)
        return
    for command in commands(block):
        if command.startswith("text2x "):
            run_command(command, Path.cwd())


RUNNABLE = [
    page for page in PAGES if any(each.words[:1] == ("python",) or "run" in each.words for each in blocks(page))
]


TRAINING_PAGES = ("latents.md", "cascades.md")  # whose commands train several networks: `make test-all` runs them


def _weighed(page: Path) -> object:
    """A page as a parameter: with the mark of slow tests where it trains."""
    return pytest.param(page, marks=pytest.mark.slow) if page.name in TRAINING_PAGES else page


@pytest.mark.medium
@pytest.mark.parametrize("page", [_weighed(page) for page in RUNNABLE], ids=[name_of(page) for page in RUNNABLE])
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__page__"}
    left_out = 0
    for block in blocks(page):
        if block.words[:1] != ("python",) and "run" not in block.words:
            continue
        if "needs-model" in block.words and not SHIPPED.exists():
            left_out += 1
            continue
        try:
            run_block(block, page, names)
        except Exception as error:
            raise AssertionError(f"{name_of(page)}, the block at line {block.line}: {error}") from error
    if left_out:
        pytest.skip(f"the rest ran; {left_out} blocks need a shipped model")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_fences_say_what_they_are(page: Path) -> None:
    for block in blocks(page):
        assert set(block.words) <= WORDS, f"line {block.line - 1}: {' '.join(block.words)}"
        assert "run" not in block.words or commands(block), f"line {block.line - 1}: nothing to run"
    fences = re.findall(r"^```", page.read_text("utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(page)), "a fence is not closed"


@functools.cache
def help_of(names: tuple[str, ...]) -> str | None:
    """The help of a command or a group, or None if there is no such command."""
    environment = {**os.environ, "COLUMNS": "240", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "text2x", *names, "--help"], capture_output=True, text=True, env=environment, timeout=60
    )
    return done.stdout if done.returncode == 0 else None


def unknown_parts(command: str) -> list[str]:
    """Commands and options of a `text2x` command line that its help does not name."""
    words = shlex.split(re.split(r"\s[|>]", command)[0], comments=True)[1:]
    names: list[str] = []
    group: Any = typer.main.get_command(app)
    while len(words) > len(names) and (inside := getattr(group, "commands", {}).get(words[len(names)])):
        names, group = [*names, words[len(names)]], inside
    text = help_of(tuple(names))
    rest = words[len(names) :]
    if text is None or (hasattr(group, "commands") and rest and not rest[0].startswith("-")):
        return rest
    options = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [each for each in options if not re.search(rf"(?<![\w-]){re.escape(each)}(?![\w-])", text)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_on_a_page_exist_with_their_options(page: Path) -> None:
    typed = [line for block in blocks(page) if block.words[:1] == ("console",) for line in commands(block)]
    wrong = {line: unknown_parts(line) for line in typed if line.startswith("text2x")}
    assert {line: parts for line, parts in wrong.items() if parts} == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_on_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:\$ |`)make ([a-z-]+)", page.read_text("utf-8")))
    assert named <= targets, f"no such target: {', '.join(sorted(named - targets))}"


def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    prose = FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Where a page points to, other than the web."""
    prose = FENCE.sub("", page.read_text("utf-8"))
    found = ["".join(parts) for parts in LINK.findall(prose)]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no {target}"
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        assert not anchor or anchor in anchors(target), f"{link}: {name_of(target)} has no such heading"


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    reached = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    pages = set((ROOT / "docs").rglob("*.md")) - {index}
    assert sorted(map(name_of, pages - reached)) == []
    assert index in {(ROOT / link.partition("#")[0]).resolve() for link in links(ROOT / "README.md")}
