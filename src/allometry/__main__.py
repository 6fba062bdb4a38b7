"""The command `allometry`: runs a verb, and turns what a user got wrong into one line and exit status 2."""

import signal
import sys
from typing import Any

from allometry.stop import STOPPED, leave, say

ENDED = "allometry: stopped. What is finished is kept; the same command goes on from here."


def main() -> None:
    """Exit status: 0 done; 2 asked wrongly or refused; 130 stopped by Ctrl-C."""
    # Until a study begins (see cli.py) there is nothing to tidy up; and torch, while it is being imported, aborts on an exception.
    signal.signal(signal.SIGINT, _leave)
    try:
        sys.exit(_run())
    except KeyboardInterrupt:
        sys.exit(_stopped())


def _run() -> int:
    from allometry.cli import app
    from allometry.flow import Refusal

    try:
        app()
    except SystemExit as ended:
        if ended.code == STOPPED:  # typer turns Ctrl-C into this, and says nothing
            raise KeyboardInterrupt from ended
        raise
    except Refusal as error:
        return _said(f"allometry: {error}", 2)
    except BrokenPipeError:
        return 0
    except OSError as error:  # a full disk or a lost folder, met where no stage expected it
        return _said(f"allometry: {error.filename or ''} {error.strerror or error}".replace("  ", " "), 2)
    return 0


def _leave(*_: Any) -> None:
    leave(ENDED)


def _stopped() -> int:
    return _said(ENDED, STOPPED)


def _said(text: str, status: int) -> int:
    say(text)
    return status


if __name__ == "__main__":
    main()
