"""Spec: a frozen, keyword-only value that can be printed, compared, hashed and stored.

A configuration in this package is a tree of Specs. There is no second language: an ablation is `spec.edit(...)`, and the
id of a Spec is the hash of its whole content, so that two things with one id are one thing.
"""

import dataclasses
import hashlib
import json
import typing
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

Json = dict[str, Any]
SelfSpec = TypeVar("SelfSpec", bound="Spec")  # `typing.Self` is refused by the shape checker of the tests
PLAIN = (int, str, bool, type(None))  # nothing can be wrong with one of these


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,))
class Spec:
    """A value made of numbers, strings, None, tuples and other Specs. Subclassing is all that is needed.

    >>> class Pair(Spec):
    ...     first: int
    ...     second: float = 2.0
    >>> Pair(first=1)
    Pair(first=1)
    >>> Pair(first=1).edit(second=3).second
    3.0
    """

    # The name that `is` has in JSON. A Spec that was loaded from a user's file gets another one (see `find.py`).
    _named: typing.ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # repr=False keeps the __repr__ below, which leaves out what is at its default.
        dataclasses.dataclass(frozen=True, kw_only=True, repr=False)(cls)
        cls._named = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.type is float and type(value) is int:
                value = float(value)  # so that 2 and 2.0 are one Spec with one id
                object.__setattr__(self, field.name, value)
            if isinstance(value, float) and value == 0:
                object.__setattr__(self, field.name, 0.0)  # -0.0 is equal to it and would have another id
            if type(value) not in PLAIN:
                _check(type(self).__name__, field.name, value)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self._content())
        return f"{type(self).__name__}({inside})"

    def edit(self: SelfSpec, **changes: Any) -> SelfSpec:
        """Return a copy with some fields changed. An unknown field is a TypeError."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def to_json(self) -> Json:
        """Return a JSON object; `is` holds the type, fields at their default are left out (defaults never change)."""
        return {"is": type_name(type(self))} | {name: _to_json(value) for name, value in self._content()}

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the content."""
        return content_id(self.to_json())

    def _content(self) -> list[tuple[str, Any]]:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return [(f.name, getattr(self, f.name)) for f in fields if getattr(self, f.name) != f.default]


def content_id(content: Any) -> str:
    """Hash any JSON value. The order of keys does not count.

    >>> content_id({"a": 1, "b": 2}) == content_id({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def type_name(kind: type[Spec]) -> str:
    """`module:Class`, or the name under which a user's file was loaded."""
    return kind.__dict__.get("_named") or f"{kind.__module__}:{kind.__qualname__}"


def from_json(content: Json, resolve: Callable[[str], type[Spec]]) -> Spec:
    """Build the Spec that `to_json` wrote. `resolve` turns the name of a type into the type: the caller says whom it trusts."""
    kind = resolve(content["is"])
    names = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(content) - names - {"is"})
    if unknown:
        raise TypeError(f"{kind.__name__} has no field {', '.join(unknown)}. It has: {', '.join(sorted(names))}.")
    return kind(**{name: _from_json(value, resolve) for name, value in content.items() if name != "is"})


def _check(owner: str, name: str, value: Any) -> None:
    if isinstance(value, tuple):
        for item in value:
            _check(owner, name, item)
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{owner}({name}={value}) is not finite. A Spec holds finite numbers only.")
    elif not (value is None or isinstance(value, int | str | Spec)):
        raise TypeError(
            f"A Spec may hold numbers, strings, tuples and other Specs; {owner}.{name} got {type(value).__name__}. "
            "Wrap it in a Spec, so that it can be printed, compared and stored."
        )


def _to_json(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_json()
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value


def _from_json(value: Any, resolve: Callable[[str], type[Spec]]) -> Any:
    if isinstance(value, dict):
        return from_json(value, resolve)
    return tuple(_from_json(item, resolve) for item in value) if isinstance(value, list) else value
