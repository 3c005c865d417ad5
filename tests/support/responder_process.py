"""``muster respond`` as its own process, and its callers."""

import time
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx

from muster.wait import wait_until

ERRORS, LATENCY = "X0TTA6BL4ErrorRatioRollback", "X0TTA6BL4LatencyRollback"


def webhook(name=ERRORS, *, mark="f1", age_s=-10.0, status="firing", **labels):
    """A webhook, by default as if its alert's waiting time (10 scaled minutes at most) were over."""
    labels = {"alertname": name, "action": "rollback", "system": "x0tta6bl4", "environment": "here", **labels}
    starts_at = datetime.fromtimestamp(time.time() - age_s, UTC).isoformat().replace("+00:00", "Z")
    alert = {"status": status, "labels": labels, "annotations": {}, "startsAt": starts_at, "fingerprint": mark}
    return {"version": "4", "status": status, "alerts": [alert]}


class Caller:
    """Alertmanager's and the drill's side of the responder."""

    def __init__(self, http):
        self.http = http

    def alert(self, payload, status=200):
        answer = self.http.post("/alerts", json=payload)
        assert answer.status_code == status, answer.text
        return answer.json()

    def audit(self):
        return self.http.get("/audit", params={"since": "0"}).json()["records"]

    def until(self, kind, count=1, timeout_s=60):
        """All records as soon as so many of that kind are among them."""
        return wait_until(
            self.audit,
            lambda records: sum(record["kind"] == kind for record in records) >= count,
            what=f"no {count} {kind} in the audit",
            timeout_s=timeout_s,
            every_s=0.02,
            show=lambda records: str([record["message"] for record in records]),
        )


@contextmanager
def responding(shop, port=None):
    with shop.responder(port) as (address, token, child):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=headers, timeout=5, trust_env=False) as http:
            wait_until(
                lambda: http.get("/readyz").status_code,
                lambda status: status == 200,
                what="the responder did not listen",
                timeout_s=60,
                tolerate=(httpx.TransportError,),
            )
            yield Caller(http), child


def lease_of(shop):
    return shop.kube.get(f"/apis/coordination.k8s.io/v1/namespaces/{shop.namespace}/leases/muster-rollback-web")
