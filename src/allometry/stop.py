"""The end by Ctrl-C: one line on standard error, and the exit status that a shell expects of it. Imports nothing of its own."""

import os
import sys
from typing import NoReturn

STOPPED = 130


def leave(text: str) -> NoReturn:
    """End the process at once. While torch is being imported it aborts on an exception, so none is raised."""
    say(text)
    os._exit(STOPPED)


def say(text: str) -> None:
    print(" ".join(text.split()), file=sys.stderr, flush=True)
