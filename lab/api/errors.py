"""Status failures, worded as a real API server words them: clients and people match on these sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

CauseReason = Literal[
    "FieldValueInvalid",
    "FieldValueRequired",
    "FieldValueDuplicate",
    "FieldValueNotSupported",
    "FieldValueForbidden",
    "FieldValueNotFound",
    "FieldValueTooLong",
    "FieldValueTooMany",
]


class ApiError(Exception):
    """A request that ends in a Status failure (or, with ``plain``, in a line of text)."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}
        self.plain = plain

    def status(self) -> dict[str, Any]:
        """The Status object that is the body of the answer."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


@dataclass(frozen=True)
class Cause:
    """One broken rule of an object: where, which rule, in which words."""

    field: str
    reason: CauseReason
    message: str

    def as_dict(self) -> dict[str, str]:
        """The form it has in ``details.causes``."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


@dataclass
class Causes:
    """Collects the broken rules of one object, so that all are reported at once."""

    items: list[Cause] = field(default_factory=list)

    def invalid(self, path: str, value: str, why: str) -> None:
        """``value`` as the message shows it: JSON for strings and objects, digits for numbers."""
        self.items.append(Cause(path, "FieldValueInvalid", f"Invalid value: {value}: {why}"))

    def required(self, path: str, why: str = "") -> None:
        """A field that must be there is not."""
        self.items.append(Cause(path, "FieldValueRequired", f"Required value: {why}" if why else "Required value"))

    def duplicate(self, path: str, value: str) -> None:
        """A value that must be unique is there twice."""
        self.items.append(Cause(path, "FieldValueDuplicate", f"Duplicate value: {value}"))

    def unsupported(self, path: str, value: str, supported: list[str]) -> None:
        """A value outside of an enumeration."""
        known = ", ".join(f'"{one}"' for one in supported)
        self.items.append(
            Cause(path, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {known}')
        )

    def too_long(self, path: str, why: str) -> None:
        """A string of more characters than are allowed."""
        self.items.append(Cause(path, "FieldValueTooLong", f"Too long: {why}"))

    def too_many(self, path: str, count: int, most: int) -> None:
        """A list or map of more entries than are allowed."""
        self.items.append(Cause(path, "FieldValueTooMany", f"Too many: {count}: must have at most {most} items"))

    def forbidden(self, path: str, why: str) -> None:
        """A change or field that is not allowed here."""
        self.items.append(Cause(path, "FieldValueForbidden", f"Forbidden: {why}"))


def _details(name: str, group: str, kind: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in details.items() if value}


def qualified(plural: str, group: str) -> str:
    """``deployments.apps``, or ``pods`` for the core group: how messages name a resource."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> ApiError:
    """404 for an object that does not exist."""
    return ApiError(
        404, "NotFound", f'{qualified(plural, group)} "{name}" not found', details=_details(name, group, plural)
    )


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """409 for a create of a name that is taken."""
    return ApiError(
        409,
        "AlreadyExists",
        f'{qualified(plural, group)} "{name}" already exists',
        details=_details(name, group, plural),
    )


def conflict(plural: str, group: str, name: str, why: str | None = None) -> ApiError:
    """409 for a write that was made against an older version of the object, or whose precondition does not hold."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}',
        details=_details(name, group, plural),
    )


def invalid(kind: str, group: str, name: str, causes: list[Cause]) -> ApiError:
    """422 with every broken rule and its field path."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details = _details(name, group, kind)
    details["causes"] = [cause.as_dict() for cause in causes]
    return ApiError(422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {text}', details=details)


def invalid_patch(shown: str, why: str) -> ApiError:
    """422 for a patch whose result cannot be decoded as the kind."""
    cause = Cause("patch", "FieldValueInvalid", f'Invalid value: "{shown}": {why}')
    return ApiError(
        422, "Invalid", f' "" is invalid: {cause.field}: {cause.message}', details={"causes": [cause.as_dict()]}
    )


def unprocessable() -> ApiError:
    """422 for a JSON patch that does not fit: a missing path, or a ``test`` that fails."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", details={})


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def forbidden(plural: str, group: str, name: str, why: str, causes: list[dict[str, str]] | None = None) -> ApiError:
    """403 by admission."""
    details = _details(name, group, plural)
    if causes:
        details["causes"] = causes
    return ApiError(403, "Forbidden", f'{qualified(plural, group)} "{name}" is forbidden: {why}', details=details)


def unauthorized() -> ApiError:
    """401: no token, or one that is not known."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def page_not_found() -> ApiError:
    """404 as plain text: a path or API group that is not served at all."""
    return ApiError(404, "NotFound", "404 page not found", plain=True)


def resource_not_found() -> ApiError:
    """404 for an unknown resource of a group that is served."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def method_not_allowed() -> ApiError:
    """405."""
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details={}
    )


def unsupported_media_type(accepted: list[str] | None = None) -> ApiError:
    """415; ``accepted`` for bodies of objects, none for patches."""
    if accepted is None:
        return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    return ApiError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted),
    )


def not_acceptable(available: list[str]) -> ApiError:
    """406."""
    return ApiError(
        406,
        "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: " + ", ".join(available),
        details={},
    )


def expired(message: str) -> ApiError:
    """410: the client must list again."""
    return ApiError(410, "Expired", message)


def too_large_version(asked: int, current: int) -> ApiError:
    """504 for a list that asks for a version which is not there yet."""
    return ApiError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        headers={"Retry-After": "1"},
    )


def internal(message: str) -> ApiError:
    """500 for what is wrong behind the API (a node agent that does not answer), never for a client's mistake."""
    return ApiError(500, "", message)
