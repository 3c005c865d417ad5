"""The kubelet's restart back-off: at once, then 10 s doubling to 300 s, divided by the lab's time scale."""

from __future__ import annotations

_FIRST_S = 10.0
_LONGEST_S = 300.0
_FORGIVEN_AFTER_S = 600.0


class Backoff:
    """Delays between attempts. ``nominal_s`` is what a kubelet would wait, ``delay_s`` what is waited here."""

    def __init__(self, time_scale: float, *, immediate_first: bool) -> None:
        self._scale = time_scale
        self._immediate_first = immediate_first
        self.nominal_s = 0.0
        self._attempts = 0

    def next_s(self, ran_s: float = 0.0) -> float:
        """The delay before the next attempt, after one that lasted ``ran_s``; a long run forgives what was before."""
        if ran_s * self._scale >= _FORGIVEN_AFTER_S:
            self._attempts = 0
        self._attempts += 1
        steps = self._attempts - (2 if self._immediate_first else 1)
        self.nominal_s = 0.0 if steps < 0 else min(_FIRST_S * 2**steps, _LONGEST_S)
        return self.nominal_s / self._scale


def go_duration(seconds: float) -> str:
    """Whole seconds as Go prints durations: ``10s``, ``1m20s``, ``5m0s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
