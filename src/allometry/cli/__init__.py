"""The command: one file for each group of verbs. Each verb imports what it needs when it is called, so that help is quick."""

from allometry.cli import (  # noqa: F401 (their verbs enter the app as they are loaded)
    capacity,
    census,
    laws,
    members,
    questions,
    studies,
)
from allometry.cli._app import app

__all__ = ["app"]
