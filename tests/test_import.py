"""The package itself: quick to import, names that load what they need when they are used."""

import subprocess
import sys
import time

import pytest

import text2x


def output_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", ["text2x", "text2x.requests", "text2x.library", "text2x.cli"])
def test_light_modules_load_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print([n for n in ('torch', 'numpy', 'PIL', 'transformers') if n in sys.modules])"
    assert output_of(code) == "[]"


def test_importing_takes_less_than_a_fifth_of_a_second() -> None:
    code = "import time; begin = time.process_time(); import text2x; print(time.process_time() - begin)"
    assert min(float(output_of(code)) for _ in range(3)) < 0.2


def test_the_command_line_is_imported_in_less_than_two_fifths_of_a_second() -> None:
    code = "import time; begin = time.process_time(); import text2x.cli; print(time.process_time() - begin)"
    assert min(float(output_of(code)) for _ in range(3)) < 0.4


def test_every_public_name_is_there() -> None:
    for name in text2x.__all__:
        assert getattr(text2x, name) is not None
        assert name in dir(text2x)
    assert text2x.ImageRequest("a").prompt == "a"
    assert text2x.__version__.count(".") >= 1


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="pictures"):
        _ = text2x.pictures  # type: ignore[attr-defined]


def test_an_unknown_field_of_a_picture_is_an_error_before_a_model_is_loaded() -> None:
    begin = time.process_time()
    with pytest.raises(text2x.InputError, match="did you mean steps"):
        text2x.image("a red apple", step=3)
    assert time.process_time() - begin < 1
