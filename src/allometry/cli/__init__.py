"""The command: one file for each group of verbs. Each verb imports what it needs when it is called, so that help is quick."""

from allometry.cli import census, laws, members, questions, studies  # noqa: F401 (their verbs enter the app as they are loaded)
from allometry.cli._app import app

__all__ = ["app"]
