"""Errors a user can act on: one sentence each, with the exit code they end in."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_USAGE = 4
EXIT_UNKNOWN = 6


class MusterError(Exception):
    """A failure that is reported as its one sentence, never as a traceback."""

    exit_code = EXIT_FAILED


class UsageError(MusterError):
    """What the user typed or wrote (flag, system, environment, YAML) cannot be used."""

    exit_code = EXIT_USAGE


class Unknown(MusterError):  # noqa: N818 - the word of the first law: unknown is a verdict, not a mistake
    """It cannot be known whether the claim holds; the sentence says why. Never a pass."""

    exit_code = EXIT_UNKNOWN
