"""Players that reckon nothing, against which the answers to graphs are held: who is the best of them on a task."""

from collections.abc import Iterable, Mapping
from typing import Any

# What the floors of a task call the share of right answers of each, what a figure calls the player, and what it does.
PLAYERS = {
    "correct": ("majority", "always gives the more frequent answer"),
    "copied": ("copying", "says of every node what the one that knows has"),
}


def trivial(one: Mapping[str, Any]) -> tuple[float, str] | None:
    """The share of right answers of the best of them, and its name, of an arm or a test; None where its task states none."""
    floors = one.get("floors") or {}
    return max(((floors[key], name) for key, (name, _) in PLAYERS.items() if key in floors), default=None)


def told(records: Iterable[Mapping[str, Any]]) -> str:
    """What the best of them do on these arms and tests, in words."""
    best = {found[1] for one in records if (found := trivial(one))}
    return "; ".join(f"{name} {does}" for name, does in PLAYERS.values() if name in best)
