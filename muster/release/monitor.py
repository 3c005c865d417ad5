"""What releases are judged by besides their pods: Prometheus is asked, and Alertmanager told, each within a bound."""

from __future__ import annotations

import math
from typing import Any, Self

import httpx

from muster.errors import MusterError, Unknown
from muster.system import Environment
from muster.trust import bearer, trust_of

TELL_S = 2.0  # for Alertmanager to take an alert


class UndeliveredError(MusterError):
    """Alertmanager did not take an alert."""


class Monitor:
    """One environment's Prometheus and Alertmanager. Safe to use from several threads."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._http = httpx.Client(verify=trust_of(env), trust_env=False, follow_redirects=False, timeout=5.0)

    def value(self, query: str, *, at: float | None = None, timeout_s: float) -> float:
        """The one finite value of an instant query, now or at ``at`` (seconds since the epoch).

        Raises :class:`~muster.errors.Unknown` for anything else: no Prometheus, no answer in time, no samples, 0/0.
        """
        if not self._env.prometheus:
            raise Unknown(f"environment {self._env.name} declares no Prometheus")
        base = self._env.prometheus.rstrip("/")
        asked = {"query": query, **({} if at is None else {"time": f"{at:.3f}"})}
        try:
            answer = self._http.get(
                f"{base}/api/v1/query", params=asked, timeout=timeout_s, headers=bearer(self._env, "prometheus")
            )
            body = answer.json()
            result = body["data"]["result"]
            values = [float(result[1])] if body["data"]["resultType"] == "scalar" else [_value(one) for one in result]
        except httpx.HTTPError as error:
            raise Unknown(f"{base} did not answer: {str(error) or type(error).__name__}") from None
        except (ValueError, KeyError, TypeError, IndexError):
            raise Unknown(f"{base} answered {answer.status_code} and no result") from None
        if len(values) != 1:
            raise Unknown(f"{base} has no samples of it" if not values else f"{base} gives {len(values)} values of it")
        if not math.isfinite(values[0]):
            raise Unknown(f"there was no traffic to tell it from ({base} says {values[0]})")
        return values[0]

    def raise_alert(self, alert: dict[str, Any]) -> None:
        """Post one alert to Alertmanager's API. Raises :class:`UndeliveredError`."""
        base = self._env.alertmanager.rstrip("/")
        if not base:
            raise UndeliveredError(f"environment {self._env.name} declares no Alertmanager")
        try:
            answer = self._http.post(
                f"{base}/api/v2/alerts", json=[alert], timeout=TELL_S, headers=bearer(self._env, "alertmanager")
            )
        except httpx.HTTPError as error:
            raise UndeliveredError(f"{base} did not answer: {str(error) or type(error).__name__}") from None
        if answer.status_code != httpx.codes.OK:
            raise UndeliveredError(f"{base} answered {answer.status_code}")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _value(sample: Any) -> float:
    return float(sample["value"][1])
