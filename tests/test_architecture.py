"""The house rules as tests: floors, sizes, words, and what must not be in the source. Read by ast, not by running."""

import ast
import dataclasses
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from text2x.requests import ImageRequest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "text2x"
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)

# A file imports only from lower floors and its own.
HOUSE = (
    "errors files media moving video_files video_streams audio audio_encoders audio_files text spoken "
    "timestamps config guidance_terms editing",  # values without weights
    "diffusion nn muon signal chroma tokens alignment",  # mathematics and layers
    "networks conditioning clip_conditioning text_conditioner codecs audio_codecs",
    "recipe objectives guides adversarial masks weights request_fields requests edits guiding settings "
    "painting sampling cascades upscaling latents autoencoding priors unclip inversion degradation generators "
    "building gan_generator data metrics training_config optimizers audio_adversarial coding vocoding "
    "vocoder_training acoustics adversarial_speech stand_ins speech_requests speech_plan voices "
    "video_adversarial video_recipe video_requests video_objectives video_sampling video_material video_settings "
    "video_estimate memory video_upsampling video_generator "
    "video_gan_generator stable_video video_models "
    "speech_generator speech_models sound_requests token_objectives token_generator token_models "
    "sound_places sound_diffusion sound_objectives sound_sampling sound_diffusion_generator sound_adversarial "
    "sound_gan_generator sound_models",  # use of networks
    "training training_environment training_log checkpoints packaging shipping library sound_library video_library "
    "adapters published",  # machinery
    "recipes evaluating comparing",  # composed work
    "cli server __init__ __main__",  # roof
)
FLOORS = {name: floor for floor, names in enumerate(HOUSE) for name in names.split()}
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 400
LONGER_FILES: dict[str, str] = {}  # path from the root -> why it may be longer
UNSAFE_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
HEAVY = ("torch", "numpy", "PIL", "transformers", "diffusers", "fastapi", "starlette", "uvicorn")

# Hosts that may be named: licences, papers, namespaces of file formats. Nothing is downloaded from any of them.
NAMED_HOSTS = ("www.apache.org", "arxiv.org", "doi.org", "creativecommons.org", "opensource.org", "www.w3.org")
PROJECT_PAGE = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")  # the home of a source that a licence makes us name
REGISTRY = re.compile(
    r"\b(?:registry|download|downloads|files|cdn|mirror|mirrors|index)\.[a-z0-9-]+\.(?:org|com|io|net)\b"
)


def name_of(path: Path) -> str:
    """The path from the root, as messages show it."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(path.read_text("utf-8"), str(path))


@functools.cache
def walked(path: Path) -> list[ast.AST]:
    """Every node of a file."""
    return list(ast.walk(tree_of(path)))


def nodes(paths: list[Path]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of the files, with its place as "path:line"."""
    for path in paths:
        name = name_of(path)
        for node in walked(path):
            yield f"{name}:{getattr(node, 'lineno', 1)}", node


def room_of(path: Path) -> str:
    """The name in FLOORS that a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of each import of the package's own modules, those inside functions too."""
    for node in walked(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parts = ("text2x", *path.relative_to(PACKAGE).parent.parts)
                module = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [module])])
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "text2x" else [module]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "text2x":
                room = rest.split(".")[0]
                module = room in FLOORS or (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file()
                yield node.lineno, room if room and module else "__init__"


def test_every_file_of_the_package_has_a_floor() -> None:
    homeless = [name_of(path) for path in MODULES if room_of(path) not in FLOORS]
    assert not homeless, f"give each a floor in HOUSE of tests/test_architecture.py: {', '.join(homeless)}"


def test_imports_go_down_only() -> None:
    climbing = [
        f"{name_of(path)}:{line} is on floor {FLOORS[room_of(path)]} and imports {room} from floor {FLOORS[room]}"
        for path in MODULES
        for line, room in imported_rooms(path)
        if FLOORS.get(room, 0) > FLOORS.get(room_of(path), 9)
    ]
    assert not climbing, "\n".join(climbing)


def test_no_function_is_longer_than_a_screen() -> None:
    functions = [(at, node) for at, node in nodes(MODULES + SCRIPTS) if isinstance(node, FUNCTION)]
    lengths = {f"{at} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1 for at, node in functions}
    long = [f"{name} has {length} lines" for name, length in lengths.items() if length > MAX_FUNCTION_LINES]
    assert not long, "\n".join(long)


def test_no_file_is_too_long_to_read() -> None:
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in MODULES + SCRIPTS}
    long = [f"{name} has {n} lines" for name, n in lengths.items() if n > MAX_FILE_LINES and name not in LONGER_FILES]
    assert not long, "\n".join(long)


def test_a_file_begins_with_what_is_in_it() -> None:
    for path in MODULES + sorted((ROOT / "benchmarks").rglob("*.py")):
        first = tree_of(path).body[:1]
        assert ast.get_docstring(tree_of(path)), f"{name_of(path)} has no docstring"
        assert first[0].lineno <= 2, f"{name_of(path)}: the docstring is on line {first[0].lineno}"


def public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Public classes and functions of a module, and public methods of public classes."""
    for node in body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node.body, f"{prefix}{node.name}.")


def missing_words(name: str, node: Definition) -> Iterator[str]:
    """What a public definition lacks; of methods the linter asks for docstrings, with the exceptions noted there."""
    overload = any(ast.unparse(each).endswith("overload") for each in node.decorator_list)
    if not ast.get_docstring(node) and "." not in name and not overload:
        yield f"{name} has no docstring"
    if isinstance(node, ast.ClassDef):
        return
    if node.returns is None:
        yield f"{name} says not what it returns"
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    for each in named:
        if each is not None and each.annotation is None and each.arg not in ("self", "cls"):
            yield f"{name} has no type for {each.arg}"


def test_public_names_have_docstrings_and_full_annotations() -> None:
    found = [
        f"{name_of(path)}: {problem}"
        for path in MODULES
        for name, node in public_definitions(tree_of(path).body)
        for problem in missing_words(name, node)
    ]
    assert not found, "\n".join(found)


def unsafe_uses(node: ast.AST) -> Iterator[str]:
    """What could run code out of a file that was read."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES)
    elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
        yield str(node.module)
    elif isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        tensors_only = any(each.arg == "weights_only" and ast.unparse(each.value) == "True" for each in node.keywords)
        if called in ("torch.load", "torch.save", "eval", "exec", "os.system") and not tensors_only:
            yield called
        for keyword in node.keywords:
            constant = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if keyword.arg in ("allow_pickle", "shell", "trust_remote_code") and constant is not False:
                yield f"{called}({keyword.arg}={ast.unparse(keyword.value)})"


def test_nothing_that_can_run_code_is_read_or_written() -> None:
    found = [f"{at} {use}" for at, node in nodes(MODULES) for use in unsafe_uses(node)]
    assert not found, "\n".join(found)


def test_published_checkpoints_alone_are_read_as_torch_wrote_them() -> None:
    readers = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    }
    published = {f"src/text2x/published/{name}.py" for name in ("indic_tts", "musicgen")}
    assert readers <= published  # once, into safetensors; with weights_only


def test_the_search_for_unsafe_code_finds_it() -> None:
    code = "import pickle\nimport torch\ntorch.load('x')\nnumpy.load(f, allow_pickle=True)\neval('1')\nmodel.eval()"
    code += "\ntorch.load('y', weights_only=True)"
    found = [use for node in ast.walk(ast.parse(code)) for use in unsafe_uses(node)]
    assert found == ["pickle", "torch.load", "numpy.load(allow_pickle=True)", "eval"]


def test_the_environment_is_read_by_the_command_line_only() -> None:
    for at, node in nodes([path for path in MODULES if room_of(path) != "cli"]):
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in ("os.environ", "os.getenv", "os.putenv"), at
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            assert not {alias.name for alias in node.names} & {"environ", "getenv"}, at


def text_files() -> list[Path]:
    """The repository's own text: source, tests, scripts and pages."""
    folders = ["src", "tests", "benchmarks", "docs", ".ci", ".github"]
    kinds = {".py", ".md", ".toml", ".txt", ".json", ".yml", ".yaml", ".sh", ".csv", ""}
    nested = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files = [path for path in [*ROOT.iterdir(), *nested] if path.is_file() and path.suffix in kinds]
    return [path for path in files if "__pycache__" not in path.parts and ".egg-info" not in str(path)]


def addresses_to_download_from(text: str) -> Iterator[str]:
    """Web addresses other than those of licences, papers and projects, and names of registries."""
    for address in re.findall(r"(?:https?|ftp|git)://[\w.-]+\.\w+[\w./?=&%#~+-]*", text):
        host = address.split("://", 1)[1].split("/")[0]
        named = host in NAMED_HOSTS or host.endswith("example.com") or PROJECT_PAGE.fullmatch(address.rstrip("."))
        if not named:
            yield address
    yield from REGISTRY.findall(text)


def test_no_address_to_download_from_is_written_down() -> None:
    pages = [(name_of(path), path.read_text("utf-8")) for path in text_files()]
    found = [f"{name}: {address}" for name, text in pages for address in addresses_to_download_from(text)]
    assert not found, "\n".join(found)


def test_the_search_for_addresses_finds_them() -> None:
    registry = ".".join(["registry", "somewhere", "org"])
    scheme = "https:" + "//"
    text = f"see {scheme}arxiv.org/abs/2006.11239 and {scheme}github.com/a/b, not {scheme}a.dev/x.tgz or {registry}"
    assert list(addresses_to_download_from(text)) == [f"{scheme}a.dev/x.tgz", registry]


def run_python(code: str) -> str:
    """What a new Python prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(code: str) -> list[str]:
    """Which heavy packages a new Python has loaded after the code."""
    return run_python(f"import sys\n{code}\nprint(*[m for m in {HEAVY} if m in sys.modules])").splitlines()[-1].split()


def test_importing_the_package_is_light_and_quick() -> None:
    assert loaded_by("import text2x") == []
    timed = "import time; begin = time.process_time(); import text2x; print(time.process_time() - begin)"
    assert min(float(run_python(timed)) for _ in range(3)) < 0.2  # seconds of one core


@pytest.mark.parametrize("arguments", [["--help"], ["image", "--help"], ["--version"]], ids=" ".join)
def test_help_and_version_load_no_torch(arguments: list[str]) -> None:
    code = f"from text2x.cli import main\ntry: main({arguments})\nexcept SystemExit: pass"
    assert not {"torch", "numpy", "PIL"} & set(loaded_by(code))


@pytest.mark.parametrize("field", dataclasses.fields(ImageRequest), ids=lambda field: field.name)
def test_every_field_of_a_request_has_a_flag_and_a_line_in_the_documentation(field: dataclasses.Field[object]) -> None:
    page = (ROOT / "docs" / "image.md").read_text("utf-8")
    assert field.metadata["help"].strip(), "the field says not what it means"
    for flag in field.metadata["flags"]:
        assert re.search(rf"`[^`\n]*(?<![\w-]){re.escape(flag)}(?![\w-])[^`\n]*`", page), f"docs/image.md lacks {flag}"
        assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", image_help()), f"text2x image has no {flag}"


@functools.cache
def image_help() -> str:
    """The help of the command, wide enough that nothing is cut."""
    code = "import os; os.environ.update(COLUMNS='240', TERM='dumb', NO_COLOR='1')\n"
    return run_python(f"{code}from text2x.cli import main\ntry: main(['image', '--help'])\nexcept SystemExit: pass")
