"""Options of a family that are words: what is none of those known is refused."""

from allometry.flow import Refusal
from allometry.spec import Spec


def known(spec: Spec, **options: tuple[str, ...]) -> None:
    """Refuse an option that is none of these."""
    for name, some in options.items():
        if (word := getattr(spec, name)) not in some:
            raise Refusal(f"{type(spec).__name__}({name}={word!r}) is not known. It is one of: {', '.join(some)}.")
