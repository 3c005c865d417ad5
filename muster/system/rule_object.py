"""What the Prometheus operator finds an environment's rules by."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from muster.system.fact import Fact, FactError

# As the Kubernetes API wants it: a prefix that is a DNS name may stand before the name of a label or annotation.
_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


class RuleObject(Fact):
    """The PrometheusRule's metadata: Prometheus loads what its ``ruleSelector`` and ``ruleNamespaceSelector`` take."""

    namespace: str = Field("", pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$")  # empty: the workload's
    labels: dict[str, str] = Field(default_factory=dict)  # what the ruleSelector wants: kube-prometheus-stack's release
    annotations: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _as_the_api_takes_them(self) -> RuleObject:
        for section in ("labels", "annotations"):
            for key in getattr(self, section):
                if not _KEY.fullmatch(key):
                    raise FactError(f"{key!r} is no name that the Kubernetes API takes", section, key)
        for key, value in self.labels.items():
            if not _VALUE.fullmatch(value):
                raise FactError(
                    f"found {value!r}, expected at most 63 letters, digits, '-', '_' and '.'", "labels", key
                )
        return self
