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
    kinds = [kind for kind in arguments if kind is not type(None)]
    if len(kinds) == 1:
        return _parse(kinds[0], value, where)
    classes = {kind.__name__: kind for kind in kinds if dataclasses.is_dataclass(kind)}
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
    raise InputError(f"{where}: cannot read {value!r} as any of {', '.join(map(str, kinds))}")


def _parse_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InputError(f"{where}: expected a list, got {value!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_parse(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise InputError(f"{where}: expected {len(arguments)} values, got {len(value)}: {value!r}")
    return tuple(_parse(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(arguments, value)))


def _parse_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value


def override(config: T, assignment: str) -> T:
    """Apply one "field.inner=value" (value in JSON, or a bare word) and return the changed copy."""
    path, equals, text = assignment.partition("=")
    if not equals or not path.strip():
        raise InputError(f"cannot read the setting {assignment!r}; write field=value, as in training.steps=100")
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    return _override(config, path.strip().split("."), value, path.strip())


def _override(config: Any, names: list[str], value: Any, path: str) -> Any:
    fields = [field.name for field in dataclasses.fields(config)] if dataclasses.is_dataclass(config) else []
    name, rest = names[0], names[1:]
    if isinstance(config, tuple) and name.isdigit() and int(name) < len(config):
        changed = list(config)
        changed[int(name)] = _override(config[int(name)], rest, value, path) if rest else value
        return tuple(changed)
    if name not in fields:
        known = ", ".join(fields) or "nothing"
        raise InputError(f"unknown setting {path!r}: {type(config).__name__} has {known}")
    if rest:
        new = _override(getattr(config, name), rest, value, path)
    else:
        new = _parse(typing.get_type_hints(type(config))[name], value, path)
    return dataclasses.replace(config, **{name: new})
