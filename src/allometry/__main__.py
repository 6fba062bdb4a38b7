"""The command `allometry`: runs a verb, and turns what a user got wrong into one line and exit status 2."""

import sys


def main() -> None:
    """Exit status: 0 done; 2 asked wrongly or refused; 130 stopped by Ctrl-C."""
    from allometry.cli import app
    from allometry.flow import Refusal

    try:
        app()
    except Refusal as error:
        sys.exit(_said(f"allometry: {error}", 2))
    except KeyboardInterrupt:
        sys.exit(_said("allometry: stopped. What is finished is kept; the same command goes on from here.", 130))
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:  # a full disk or a lost folder, met where no stage expected it
        sys.exit(_said(f"allometry: {error.filename or ''} {error.strerror or error}".replace("  ", " "), 2))


def _said(text: str, status: int) -> int:
    print(" ".join(text.split()), file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
