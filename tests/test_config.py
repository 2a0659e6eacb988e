"""Configs: what is written is read back, and whatever does not fit is named with its place."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from text2x.config import from_dict, override, to_dict
from text2x.errors import InputError
from text2x.recipes import RECIPES


@dataclass(frozen=True)
class Linear:
    shift: float = 1.0


@dataclass(frozen=True)
class Betas:
    first: float
    last: float = 0.02


@dataclass(frozen=True)
class Net:
    widths: tuple[int, ...] = (8, 16)
    span: tuple[float, str] = (0.5, "a")
    schedule: Linear | Betas = Linear()
    size: int | tuple[int, int] = 4
    style: str | None = None
    kind: Literal["small", "large"] = "small"
    flag: bool = False
    notes: Mapping[str, Linear] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    name: str
    net: Net = Net()
    stages: tuple[Linear | Betas, ...] = ()
    extra: Any = None


FULL = Plan(
    "x",
    Net((1, 2, 3), (2.0, "b"), Betas(0.1), (3, 4), "flat", "large", True, {"a": Linear(2.0)}),
    (Linear(3.0), Betas(0.5, 0.6)),
    {"free": [1, None]},
)


def test_a_config_survives_json() -> None:
    assert from_dict(Plan, json.loads(json.dumps(to_dict(FULL)))) == FULL


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_survives_json(name: str) -> None:
    recipe = RECIPES[name]()
    assert from_dict(type(recipe), json.loads(json.dumps(to_dict(recipe)))) == recipe


def test_fields_that_are_left_out_have_their_defaults() -> None:
    assert from_dict(Plan, {"name": "x", "net": {"style": None}}) == Plan("x")


def test_whole_numbers_are_read_as_floats_where_a_float_is_meant() -> None:
    shift = from_dict(Linear, {"shift": 3}).shift
    assert shift == 3.0 and isinstance(shift, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"Plan: the field 'name' is missing"),
        ({"name": "x", "colour": 1}, r"Plan: unknown field 'colour'; fields are name, net, stages, extra"),
        ({"name": 3}, r"Plan.name: expected str, got 3"),
        ({"name": "x", "net": {"flag": 1}}, r"Plan.net.flag: expected bool, got 1"),
        ({"name": "x", "net": {"widths": [1, True]}}, r"Plan.net.widths\[1\]: expected int, got True"),
        ({"name": "x", "net": {"widths": "12"}}, r"Plan.net.widths: expected a list, got '12'"),
        ({"name": "x", "net": {"widths": [1.5]}}, r"Plan.net.widths\[0\]: expected int, got 1.5"),
        ({"name": "x", "net": {"span": [1.0]}}, r"Plan.net.span: expected 2 values, got 1"),
        ({"name": "x", "net": {"kind": "huge"}}, r"Plan.net.kind: 'huge' is not one of 'small', 'large'"),
        ({"name": "x", "net": {"schedule": {"type": "Cosine"}}}, r"type 'Cosine' is not one of Linear, Betas"),
        ({"name": "x", "net": {"schedule": {"shift": 2.0}}}, r"type None is not one of Linear, Betas"),
        ({"name": "x", "net": {"schedule": 7}}, r"Plan.net.schedule: cannot read 7 as any of Linear, Betas"),
        ({"name": "x", "net": {"size": "big"}}, r"Plan.net.size: cannot read 'big' as any of int, tuple\[int, int\]"),
        ({"name": "x", "net": {"notes": [1]}}, r"Plan.net.notes: expected an object"),
        ({"name": "x", "net": {"notes": {"a": {"shift": "s"}}}}, r"Plan.net.notes.a.shift: expected float, got 's'"),
        ({"name": "x", "net": {"schedule": {"type": "Linear", "shift": 10**400}}}, r"too large for a float"),
        ({"name": "x", "net": []}, r"Plan.net: expected an object with the fields of Net, got \[\]"),
        ({"type": "Net", "name": "x"}, r"Plan: type is 'Net', expected 'Plan'"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        from_dict(Plan, values)
    assert "\n" not in str(caught.value)


def test_a_list_in_place_of_an_object_is_an_input_error() -> None:
    with pytest.raises(InputError, match="recipe: expected an object"):
        from_dict(Plan, [1], where="recipe")  # type: ignore[arg-type]


def test_only_plain_values_can_be_saved() -> None:
    with pytest.raises(TypeError, match="plain values and dataclasses only, got set"):
        to_dict(Plan("x", extra={1, 2}))


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("name=y", dataclasses.replace(FULL, name="y")),
        ("name=7", dataclasses.replace(FULL, name="7")),
        ('name="7"', dataclasses.replace(FULL, name="7")),
        ("name=a=b", dataclasses.replace(FULL, name="a=b")),
        (" net.flag =false", dataclasses.replace(FULL, net=dataclasses.replace(FULL.net, flag=False))),
        ("net.style=null", dataclasses.replace(FULL, net=dataclasses.replace(FULL.net, style=None))),
        ("net.widths=[5]", dataclasses.replace(FULL, net=dataclasses.replace(FULL.net, widths=(5,)))),
        ("net.widths.1=5", dataclasses.replace(FULL, net=dataclasses.replace(FULL.net, widths=(1, 5, 3)))),
        ("net.span.1=5", dataclasses.replace(FULL, net=dataclasses.replace(FULL.net, span=(2.0, "5")))),
        ("net.size.0=9", dataclasses.replace(FULL, net=dataclasses.replace(FULL.net, size=(9, 4)))),
        ("net.schedule=Linear", dataclasses.replace(FULL, net=dataclasses.replace(FULL.net, schedule=Linear()))),
        ("net.schedule.first=1", dataclasses.replace(FULL, net=dataclasses.replace(FULL.net, schedule=Betas(1.0)))),
        ("stages.1.last=1", dataclasses.replace(FULL, stages=(Linear(3.0), Betas(0.5, 1.0)))),
        ('stages.0={"type":"Betas","first":2}', dataclasses.replace(FULL, stages=(Betas(2.0), Betas(0.5, 0.6)))),
    ],
)
def test_a_setting_changes_what_it_names_and_nothing_else(assignment: str, expected: Plan) -> None:
    before = dataclasses.replace(FULL)
    assert override(FULL, assignment) == expected
    assert before == FULL


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("name", r"cannot read the setting 'name'; write field=value"),
        ("=3", r"cannot read the setting '=3'"),
        ("nam=3", r"unknown setting 'nam': Plan has name, net, stages, extra"),
        ("net.width=3", r"unknown setting 'net.width': Net has widths"),
        ("name.first=3", r"unknown setting 'name.first': str has no fields"),
        ("net.widths.3=3", r"unknown setting 'net.widths.3': tuple has items 0 to 2"),
        ("net.widths.1=wide", r"net.widths.1: expected int, got 'wide'"),
        ("net.widths.1=true", r"net.widths.1: expected int, got True"),
        ("net.flag=2", r"net.flag: expected bool, got 2"),
        ("net.schedule=Cosine", r"net.schedule: cannot read 'Cosine' as any of Linear, Betas"),
        ("net.schedule=Betas", r"net.schedule: the field 'first' is missing"),
        ("net.size=" + "9" * 5000, r"net.size: cannot read"),
        ("net.widths=" + "[" * 100_000, r"net.widths: expected a list"),
    ],
)
def test_a_setting_that_does_not_fit_is_an_input_error(assignment: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        override(FULL, assignment)
