"""A task whose examples are made by a formula: what it says of itself is all that they follow from."""

from allometry.spec import Spec, content_id

# Raised by one whenever the same words give other examples.
FORMAT = 1


class ByFormula(Spec):
    """A task in a few numbers."""

    @property
    def fingerprint(self) -> str:
        """Hash of what the task is; its examples follow from that."""
        return content_id([FORMAT, self.to_json()])
