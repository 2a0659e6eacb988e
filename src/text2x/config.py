"""Frozen dataclass <-> JSON. Unknown keys are errors; a union of dataclasses is told apart by the key "type"."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from text2x.errors import InputError

T = TypeVar("T")


def to_dict(config: Any) -> Any:
    """Plain JSON values of a config; each dataclass carries its class name under "type"."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        values = {field.name: to_dict(getattr(config, field.name)) for field in dataclasses.fields(config)}
        return {"type": type(config).__name__, **values}
    if isinstance(config, Mapping):
        return {str(key): to_dict(value) for key, value in config.items()}
    if isinstance(config, (tuple, list)):
        return [to_dict(value) for value in config]
    if config is None or isinstance(config, (bool, int, float, str)):
        return config
    raise TypeError(f"a config holds plain values and dataclasses only, got {type(config).__name__}: {config!r}")


def from_dict(kind: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass `kind`; unknown keys, missing keys and wrong types raise InputError with their place."""
    where = where or kind.__name__
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected an object with the fields of {kind.__name__}, got {values!r}")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {key: value for key, value in values.items() if key != "type"}
    if values.get("type", kind.__name__) != kind.__name__:
        raise InputError(f"{where}: type is {values['type']!r}, expected {kind.__name__!r}")
    for key in given:
        if key not in fields:
            raise InputError(f"{where}: unknown field {key!r}; fields are {', '.join(fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in given:
            raise InputError(f"{where}: the field {name!r} is missing")
    return kind(**{key: _parse(hints[key], value, f"{where}.{key}") for key, value in given.items()})


def _parse(hint: Any, value: Any, where: str) -> Any:
    """One value as the annotated type `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _parse_union(arguments, value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise InputError(f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}")
        return value
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        return _parse_tuple(arguments, value, where)
    if origin in (dict, Mapping) or origin is typing.get_origin(Mapping[str, Any]):
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: expected an object, got {value!r}")
        return {key: _parse(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is Any:
        return value
    return _parse_plain(hint, value, where)


def _parse_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    kinds: list[Any] = [kind for kind in arguments if kind is not type(None)]
    if len(kinds) == 1:
        return _parse(kinds[0], value, where)
    classes: dict[str, Any] = {kind.__name__: kind for kind in kinds if hasattr(kind, "__dataclass_fields__")}
    if type(value) in classes.values():
        return value
    if isinstance(value, str) and value in classes:  # a name alone: with its defaults
        return from_dict(classes[value], {}, where)
    if isinstance(value, Mapping):
        kind = classes.get(str(value.get("type")))
        if kind is None:
            raise InputError(f"{where}: type {value.get('type')!r} is not one of {', '.join(classes)}")
        return from_dict(kind, value, where)
    for kind in kinds:
        if kind not in classes.values():
            try:
                return _parse(kind, value, where)
            except InputError:
                continue
    names = (kind.__name__ if isinstance(kind, type) else str(kind) for kind in kinds)
    raise InputError(f"{where}: cannot read {value!r} as any of {', '.join(names)}")


def _parse_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InputError(f"{where}: expected a list, got {value!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_parse(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise InputError(f"{where}: expected {len(arguments)} values, got {len(value)}: {value!r}")
    pairs = zip(arguments, value, strict=True)
    return tuple(_parse(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(pairs))


def _parse_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"{where}: the number is too large for a float; at most 1.8e308") from None
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value


def override(config: T, assignment: str) -> T:
    """Apply one "field.inner=value" and return the changed copy.

    The value is JSON or a bare word; an item of a tuple is named by its number; where a field takes one of several
    dataclasses, the name of one stands for it with its defaults.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path.strip():
        raise InputError(f"cannot read the setting {assignment!r}; write field=value, as in training.steps=100")
    path = path.strip()
    return _override(config, type(config), path.split("."), text, path)


def _override(config: Any, hint: Any, names: list[str], text: str, path: str) -> Any:
    """`config`, a value of the annotated type `hint`, with the value at `names` changed."""
    if not names:
        return _parse_text(hint, text, path)
    name, rest = names[0], names[1:]
    if isinstance(config, tuple) and name.isdecimal() and int(name) < len(config):
        index = int(name)
        item = _override(config[index], _item_hint(hint, index), rest, text, path)
        return (*config[:index], item, *config[index + 1 :])
    fields = [field.name for field in dataclasses.fields(config)] if dataclasses.is_dataclass(config) else []
    if name not in fields:
        inside = ", ".join(fields) or (f"items 0 to {len(config) - 1}" if isinstance(config, tuple) else "no fields")
        raise InputError(f"unknown setting {path!r}: {type(config).__name__} has {inside}")
    changed = _override(getattr(config, name), typing.get_type_hints(type(config))[name], rest, text, path)
    return dataclasses.replace(config, **{name: changed})  # type: ignore[type-var]


def _item_hint(hint: Any, index: int) -> Any:
    """The annotated type of a tuple's item."""
    options = [hint, *typing.get_args(hint)]  # of a union, the first tuple
    arguments = next((typing.get_args(each) for each in options if typing.get_origin(each) is tuple), (Any, ...))
    return arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else arguments[index]


def _parse_text(hint: Any, text: str, path: str) -> Any:
    """JSON if it is that and fits, otherwise the text itself: 7 is a number, or a name where a name is expected."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _parse(hint, text, path)
    try:
        return _parse(hint, value, path)
    except InputError:
        try:
            return _parse(hint, text, path)
        except InputError:
            pass
        raise
