"""Why the responder leaves something undone for now."""

from __future__ import annotations

from muster.errors import MusterError


class StoppedError(MusterError):
    """The responder was told to stop; the intent stays in the Lease and is resumed."""


class BusyError(MusterError):
    """This responder is carrying something out already."""
