"""The signals that end a command politely, beside Ctrl-C: what it began is undone first."""

from __future__ import annotations

import signal


def signals() -> tuple[signal.Signals, ...]:
    """SIGTERM, and SIGHUP (its terminal was closed) unless that is ignored: ``nohup`` means it to go on then."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, signal.SIGHUP)
