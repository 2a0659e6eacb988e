import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.errors import InputError
from text2x.guidance_terms import FORMS, RANGES, GuidanceTerm, check_interval, checked, format_guidance, parse_guidance


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@st.composite
def terms(draw: st.DrawFn, form: str) -> GuidanceTerm:
    known = FORMS[form]
    values: dict[str, Any] = {"scale": draw(numbers(known.lowest, known.largest))}
    for name in draw(st.sets(st.sampled_from(known.options))) - {"threshold"}:
        if name == "interval":
            values[name] = tuple(sorted((draw(numbers(0, 1)), draw(numbers(0, 1)))))
        else:
            values[name] = draw(numbers(*RANGES[name]) | st.none() if name == "norm" else numbers(*RANGES[name]))
    return GuidanceTerm(form, **values)  # type: ignore[arg-type]


@st.composite
def guidances(draw: st.DrawFn) -> tuple[GuidanceTerm, ...]:
    text = draw(st.sampled_from(["cfg", "apg"]))
    forms = draw(st.lists(st.sampled_from([text, "classifier", "clip", "auto"]), unique=True))
    return tuple(draw(terms(form)) for form in forms)


@given(guidances())
@settings(max_examples=40, deadline=None)
def test_what_is_formatted_reads_back_as_it_was(given_terms: tuple[GuidanceTerm, ...]) -> None:
    written = format_guidance(given_terms)
    assert parse_guidance(written) == given_terms
    assert format_guidance(parse_guidance(written)) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (4, "cfg:4"),
        (1.0, "cfg:1"),
        (-0.0, "cfg:0"),
        ("7.50", "cfg:7.5"),
        ("2,rescale=.7", "cfg:2,rescale=0.7"),
        ("none", "none"),
        (" NONE ", "none"),
        ("cfg", "cfg:3"),
        ("Apg : 8 , ETA = 0.2", "apg:8,eta=0.2"),
        ("apg:4,momentum=-0.5", "apg:4"),
        ("apg:4,norm=none", "apg:4,norm=none"),
        ("cfg:4,threshold=0.995", "cfg:4,threshold=0.995"),
        ("cfg:4,interval=0.10 - 0.8+classifier:2", "cfg:4,interval=0.1-0.8+classifier:2"),
        ("auto+clip+classifier", "auto:2+clip:3+classifier:1"),
        ("cfg:-1e-1", "cfg:-0.1"),
    ],
)
def test_there_is_one_spelling_for_each_guidance(text: str | float, written: str) -> None:
    assert format_guidance(parse_guidance(text)) == written


def test_a_term_holds_what_was_written() -> None:
    (term,) = parse_guidance("apg:8,interval=0.1-0.8,threshold=0.95,eta=0.25,norm=0.1,momentum=0")
    assert term == GuidanceTerm("apg", 8.0, (0.1, 0.8), 0.0, 0.95, 0.25, 0.1, 0.0)


def test_none_is_no_term_at_all() -> None:
    assert parse_guidance("none") == ()


@pytest.mark.parametrize(
    ("text", "off"), [("cfg:1", True), ("apg:1", True), ("auto:1", True), ("clip:0", True), ("cfg:0", False)]
)
def test_a_form_is_off_at_the_scale_that_changes_nothing(text: str, off: bool) -> None:
    assert parse_guidance(text)[0].off is off


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty piece; .* as in cfg:4"),
        ("cfg+", "an empty piece"),
        ("none+cfg", "none beside others"),
        ("cgf:4", r"'cgf' is not known \(did you mean cfg\?\); it is cfg, apg, classifier, clip, auto or none"),
        ("strong", "'strong' is not known; it is cfg"),
        ("cfg:x", "cfg: the scale 'x' is no number, write it as in cfg:4"),
        ("cfg:4:5", "the scale '4:5' is no number"),
        ("cfg:", "the scale '' is no number"),
        ("cfg:99", "cfg: the scale is 99, but it must lie between -20 and 50"),
        ("cfg:1e400", "the scale is inf"),
        (float("nan"), "'nan' is not known"),
        (10**400, "the scale is 1000"),
        ("clip:-1", "clip: the scale is -1, but it must lie between 0 and 100"),
        ("classifier:2,rescale=0.7", "classifier has no option 'rescale'; it takes interval, threshold"),
        ("cfg:4,rescle=0.7", r"cfg has no option 'rescle' \(did you mean rescale\?\)"),
        ("cfg:4,", "cfg has no option ''"),
        ("cfg,rescale=0.1,rescale=0.2", "cfg has rescale twice"),
        ("cfg,rescale=2", r"rescale is 2, but it must lie between 0 and 1, as in rescale=0\.7"),
        ("cfg,rescale=none", "'rescale=none' must give a number"),
        ("cfg,threshold", "'threshold' must give a number, as in threshold=0.995"),
        ("cfg,threshold=0.5", "threshold is 0.5, but it must lie between 0.9 and 1"),
        ("apg,norm=15", "norm is 15, but it must lie between 0.001 and 2, .* root mean square"),
        ("cfg,interval=x", r"'interval=x' must give two times, as in interval=0\.1-0\.8"),
        ("cfg,interval=0.5.1-0.8", "must give two times"),
        ("cfg,interval=0.8-0.1", "interval is 0.8 to 0.1, but it must satisfy 0 <= low <= high <= 1"),
        ("cfg,interval=0-2", "interval is 0 to 2"),
        ("cfg+cfg:2", "cfg 2 times"),
        ("cfg+apg", "both cfg and apg"),
        ("cfg,threshold=0.99+auto,threshold=0.99", "threshold twice"),
        ("x" * 10_001, "10001 characters"),
        (True, "guidance is True, but it must be a number or words"),
        (None, "guidance is None"),
        ([4], r"guidance is \[4\]"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_way_out(text: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_guidance(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@given(st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        terms = parse_guidance(text)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert parse_guidance(format_guidance(terms)) == terms


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"form": "pag"}, "'pag' is not known"),
        ({"form": "cfg", "eta": 0.5}, "cfg has no option 'eta'"),
        ({"form": "clip", "rescale": 0.7}, "clip has no option 'rescale'"),
        ({"form": "apg", "momentum": 1.0}, "momentum is 1"),
        ({"form": "cfg", "interval": (0.9, 0.2)}, "interval is 0.9 to 0.2"),
    ],
)
def test_a_term_that_is_built_by_hand_is_checked_too(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GuidanceTerm(**{"scale": 2.0, **values})


def test_terms_that_are_built_by_hand_are_checked_together() -> None:
    assert checked([GuidanceTerm("cfg", 2.0), GuidanceTerm("auto", 2.0)])[1].form == "auto"
    with pytest.raises(InputError, match="both cfg and apg"):
        checked([GuidanceTerm("cfg", 2.0), GuidanceTerm("apg", 2.0)])


@pytest.mark.parametrize("interval", [(0.6, 0.3), (-0.1, 1.0), (0.0, 1.5), (float("nan"), 1.0)])
def test_an_interval_that_is_no_part_of_time_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="the guidance interval is"):
        check_interval(interval)


@pytest.mark.parametrize("form", FORMS)
def test_the_example_and_the_scale_of_each_form_are_valid(form: str) -> None:
    assert parse_guidance(FORMS[form].example)[0].form == form
    assert parse_guidance(form)[0].scale == FORMS[form].scale


def test_reading_guidance_loads_no_torch() -> None:
    code = "import sys, text2x.guidance_terms as g; g.parse_guidance('apg:4'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False"], done.stderr
