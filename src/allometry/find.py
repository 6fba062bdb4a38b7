"""Name -> member. The file name is the registry; nothing happens on import.

Wherever the name of a member is accepted, `package.module:Class` and `path/to/file.py:Class` are too.
"""

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from allometry.flow import Refusal


def names(folder: str) -> list[str]:
    """The members of an open folder: its files that do not begin with `_`.

    >>> "transformer" in names("allometry.model.families")
    True
    """
    package = importlib.import_module(folder)
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def member(folder: str, name: str) -> Any:
    """The class of a member: `transformer` is the class `Transformer` of `transformer.py`.

    Raises Refusal with the nearest names when there is none. A name with a colon is a user's own member.
    """
    if ":" in name:
        return _outside(name)
    known = names(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        kind = folder.rsplit(".", 1)[-1]
        raise Refusal(f"{kind} has no member '{name}'.{hint} It has: {', '.join(known)}. Your own: path/to/file.py:Class.")
    module = importlib.import_module(f"{folder}.{name}")
    return getattr(module, "".join(word.capitalize() for word in name.split("_")))


def resolve(name: str) -> Any:
    """The type that a stored `is` names. Only this package's own types: nothing that a file from outside names is run."""
    if not name.startswith("allometry.") or ":" not in name:
        raise Refusal(f"{name!r} is not a type of this package, so it is not loaded from a file.")
    return _attribute(importlib.import_module(name.split(":")[0]), name.split(":")[1], name)


def _outside(name: str) -> Any:
    place, _, attribute = name.rpartition(":")
    if not place.endswith(".py"):
        try:
            module = importlib.import_module(place)
        except ImportError as error:
            raise Refusal(
                f"Cannot import {place!r} ({error}). Give package.module:Class or path/to/file.py:Class."
            ) from error
        found = _attribute(module, attribute, name)
        if module.__file__ and not place.startswith("allometry."):
            _name(found, f"{place}:{attribute}", _digest(Path(module.__file__)))
        return found
    path = Path(place)
    if not path.is_file():
        raise Refusal(f"There is no file {place}. Give path/to/file.py:Class.")
    return load_file(path, attribute, name)


def load_file(path: Path, attribute: str, name: str) -> Any:
    """Load a user's own file. The type's stored name carries a hash of the file: an edited file is another architecture."""
    digest = _digest(path)
    module_name = f"_allometry_outside_{digest}"
    module = sys.modules.get(module_name)
    if module is None:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module  # before the code runs, as dataclasses look their module up there
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise Refusal(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    found = _attribute(module, attribute, name)
    _name(found, f"{path.name}:{attribute}", digest)
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _name(found: Any, name: str, digest: str) -> None:
    """Let a type's stored name carry the hash of its file: an edited file is another architecture."""
    if isinstance(found, type) and hasattr(found, "_named"):
        found._named = f"{name}@{digest}"  # type: ignore[attr-defined]


def _attribute(module: ModuleType, attribute: str, name: str) -> Any:
    if not hasattr(module, attribute):
        public = [n for n in vars(module) if not n.startswith("_")]
        near = difflib.get_close_matches(attribute, public, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise Refusal(f"{name}: there is no '{attribute}' in that file.{hint}")
    return getattr(module, attribute)
