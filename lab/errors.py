"""What can go wrong in the lab, in words that a person or a controller can act on."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot do what was asked; its text is one clear sentence."""


class ApiError(LabError):
    """The Kubernetes API refused or could not be reached.

    ``status`` is the HTTP status (0: no answer at all), ``reason`` the machine's word for it
    (``NotFound``, ``Conflict``, ``Expired``, ``Unreachable``...), ``message`` the server's own sentence.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{message or reason} ({status} {reason})")
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def not_found(self) -> bool:
        """Whether the object or its kind does not exist."""
        return self.status == 404

    @property
    def conflict(self) -> bool:
        """Whether somebody else wrote first (409 Conflict)."""
        return self.status == 409 and self.reason != "AlreadyExists"

    @property
    def already_exists(self) -> bool:
        """Whether the name is taken (409 AlreadyExists)."""
        return self.reason == "AlreadyExists"

    @property
    def unreachable(self) -> bool:
        """Whether no server answered."""
        return self.status == 0
