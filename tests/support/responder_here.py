"""A responder in the test's own process, and the alerts that it is given."""

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest import mock

from muster.release import Monitor, monitor, symptom
from muster.responder import compare
from muster.responder.audit import Audit
from muster.responder.engine import Responder
from muster.responder.webhook import Alert

ERRORS, DOWN = "X0TTA6BL4ErrorRatioRollback", "X0TTA6BL4HealthCheckFailed"
QUICK = {"timeout": "30s", "cool_down": "0s", "symptom_within": "5m", "remedy_cool_down": "2h"}


def an_alert(name=ERRORS, *, mark="f1", action="rollback", ago_s=-10.0, **more):
    """A firing one, by default as if its waiting time (10 scaled minutes at most) were over."""
    starts_at = datetime.fromtimestamp(time.time() - ago_s, UTC).isoformat().replace("+00:00", "Z")
    labels = {"alertname": name, "action": action, "system": "x0tta6bl4", "environment": "here"}
    labels |= more
    return Alert(name=name, status="firing", fingerprint=mark, starts_at=starts_at, labels=labels)


class Acting:
    """A responder in this process, and its audit."""

    def __init__(self, shop, audit, monitor):
        env = shop.env
        given = {"system": shop.system, "env": env, "source": env.kubernetes, "kube": shop.kube}
        self.responder = Responder(**given, monitor=monitor, audit=audit, me="me/127.0.0.1:1")
        self.handle = self.responder.handle

    def of(self, kind):
        """Records of a kind, the data with the message."""
        return [{**r["data"], "message": r["message"]} for r in self.responder.audit.since(0) if r["kind"] == kind]


@contextmanager
def responding(shop, **changes):
    """One in an environment of which only the differences matter."""
    rollback = {**QUICK, **changes.pop("rollback", {})}
    shop.write_facts(rollback=rollback, discovery="0s", scrape_interval="3s", **changes)
    audit = Audit(shop.folder / "audit.jsonl")
    try:
        with patient(), Monitor(shop.env) as asked:
            yield Acting(shop, audit, asked)
    finally:
        audit.close()


@contextmanager
def patient():
    """On a busy machine an answer may come later than users can be made to wait for it."""
    with (
        mock.patch.object(compare, "PATIENCE_S", 1200.0),  # 20 s at this time scale
        mock.patch.object(symptom, "_ASK_S", 20.0),
        mock.patch.object(monitor, "TELL_S", 20.0),
    ):
        yield


def lease(shop):
    return shop.kube.get(f"/apis/coordination.k8s.io/v1/namespaces/{shop.namespace}/leases/muster-rollback-web")
