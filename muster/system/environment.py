"""One running copy of a system: where it is read, who is told there, and what may be touched."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from muster.system.fact import Fact, FactError, Seconds
from muster.system.freeze import Freeze
from muster.system.guard import Guard, Outage
from muster.system.rollback import Rollback
from muster.system.rule_object import RuleObject


class Channel(Fact):
    """How one contact is reached in one environment. Secrets only by file.

    pagerduty: ``url`` of Events v2, ``secret_file`` holds the routing key. webhook: ``url``, ``secret_file`` holds a
    bearer token. slack: ``to`` is the channel, ``secret_file`` holds the incoming webhook's address. email: ``url`` is
    ``smtp://[user@]host:port``, ``to`` the recipient, ``sender`` who it is from, ``secret_file`` holds the password.
    """

    kind: Literal["pagerduty", "webhook", "slack", "email"]
    url: str = ""
    secret_file: str = ""
    to: str = ""
    sender: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Channel:
        needed = {
            "pagerduty": ("url", "secret_file"),
            "webhook": ("url",),
            "slack": ("to", "secret_file"),
            "email": ("url", "to"),
        }[self.kind]
        for key in needed:
            if not getattr(self, key):
                raise FactError(f"a channel of kind {self.kind} needs it", key)
        return self


class KubernetesSource(Fact):
    """The workload on its cluster."""

    kubeconfig: str
    context: str | None = None
    server: str = (
        ""  # the API server's URL, or a shell pattern of it: drills refuse any other, whatever the kubeconfig says
    )
    namespace: str
    deployment: str
    container: str
    selector: str  # label selector of its pods
    port: int  # HTTP port of a pod
    mesh_port: int | None = None
    exec: bool = False  # may commands be run in its pods? A permission that not everybody gives
    certificates: str = ""  # the certificates' folder in a pod, where it is another one than the facts say


class Environment(Fact):
    """One running copy of the system. ``${key}`` is filled in from ``endpoints_file`` before validation."""

    name: str = ""
    description: str
    embedded: bool = False  # Muster may boot it when it does not run
    production: bool = False  # drills and load want its name typed back: --production NAME, MUSTER_PRODUCTION=NAME
    endpoints_file: str = ""
    time_scale: float = Field(1.0, gt=0)  # windows are divided by it, and nothing else
    scrape_interval_s: Seconds = Field(15.0, alias="scrape_interval")  # at true scale
    evaluation_interval_s: Seconds = Field(15.0, alias="evaluation_interval")
    # Prometheus hands on discovered pods at most every 5 s and reloads its scrape loops at most every 5 s, whatever the
    # scrape interval: nothing scales that, and an absence shorter than this may only be a pod not yet seen.
    discovery_s: Seconds = Field(12.0, alias="discovery")
    # What a rollout takes here at most, real time as well: image pulled, started, ready, all replicas. Limits of drills
    # count over it. Not given: as long as a rollback may take.
    rollout_s: Seconds | None = Field(None, alias="rollout", gt=0)
    group_wait_s: Seconds = Field(30.0, alias="group_wait")  # at true scale; rollback triggers do not wait
    group_interval_s: Seconds = Field(60.0, alias="group_interval", gt=0)
    repeat_interval_s: Seconds = Field(14400.0, alias="repeat_interval", gt=0)
    metric_selector: str = ""  # label matchers for {selector}
    kubernetes: KubernetesSource | None = None
    http: str = ""  # the users' way in
    prometheus: str = ""
    alertmanager: str = ""
    grafana: str = ""
    inbox: str = ""  # where pages can be read back as evidence
    runbooks: str = ""  # the address that a runbook's relative one is below: pages link there
    rules: RuleObject = RuleObject()  # the PrometheusRule's metadata
    responder: str = ""
    responder_token_file: str = ""  # as Alertmanager sees it; see audit_token_file
    ca_file: str = ""  # vouches for HTTPS sources beside the system's own authorities
    token_files: dict[Literal["http", "prometheus", "alertmanager", "grafana", "responder"], str] = Field(
        default_factory=dict
    )  # of bearer tokens, by source
    contacts: dict[str, Channel] = Field(default_factory=dict)
    rollback: Rollback = Rollback()
    freeze: list[Freeze] = Field(default_factory=list)  # when nothing may be changed: no rollback, no drill
    guard: Guard = Guard()
    outages: dict[Literal["prometheus", "alertmanager", "responder"], Outage] = Field(default_factory=dict)
    base_dir: Path = Path()

    @model_validator(mode="after")
    def _no_user_in_the_way_in(self) -> Environment:
        """Load goes there, and its address is told in plans and on command lines; ``${NAME}`` is filled in by now."""
        if "@" in self.http.partition("://")[2].partition("/")[0]:
            raise FactError("user and password must not stand in this address; a token's file may: token_files", "http")
        return self

    @model_validator(mode="after")
    def _runbooks_can_be_opened(self) -> Environment:
        if self.runbooks and not self.runbooks.startswith(("https://", "http://")):
            raise FactError(
                f"found {self.runbooks!r}, expected an address that people can open: https://...", "runbooks"
            )
        return self

    @property
    def pod_selector(self) -> str:
        """Label matchers for ``{pods}``: the Deployment's pods in series that other programs tell about them.

        kube-state-metrics knows a pod by namespace and name, not by its labels; the name is the Deployment's, the
        ReplicaSet's hash and five letters. A system without Kubernetes has only its own series.
        """
        if self.kubernetes is None:
            return self.metric_selector
        return f'namespace="{self.kubernetes.namespace}",pod=~"{self.kubernetes.deployment}-[a-z0-9]+-[a-z0-9]{{5}}"'

    @property
    def tokens(self) -> dict[str, str]:
        """Address of a source -> file with the bearer token that it wants.

        Not the responder's: what checks ask it (is it well?) needs none, and where they run the file may not be.
        """
        named = {source: file for source, file in self.token_files.items() if source != "responder"}
        return {getattr(self, source): file for source, file in named.items() if getattr(self, source)}

    @property
    def audit_token_file(self) -> str:
        """The file with the responder's token on this machine, where drills read its audit; "" for none.

        ``responder_token_file`` is Alertmanager's, in its own pod: the same file only where both share a file system.
        """
        return self.token_files.get("responder", self.responder_token_file)

    @property
    def rollout_takes_s(self) -> float:
        """The most that a rollout takes here, in seconds of real time."""
        return self.rollout_s if self.rollout_s is not None else self.rollback.timeout_s

    def scaled(self, seconds: float) -> float:
        """A true-scale duration at this environment's time scale, in seconds."""
        return seconds / self.time_scale
