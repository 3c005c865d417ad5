"""Restart and scale against a real API: proposed with the exact command, carried out where that is allowed."""

from responder_here import DOWN, an_alert, lease, responding

from muster.kube import MERGE


def test_remedy_is_proposed_with_the_exact_command(shop):
    """Where it is not allowed nothing is changed: audit, Event, and what stands in its way."""
    with responding(shop) as acting:
        assert acting.handle(an_alert(DOWN, action="restart")) is True
        assert acting.handle(an_alert("X0TTA6BL4HighCPUUsage", action="scale", mark="f2")) is True
        acting.handle(an_alert("X0TTA6BL4FrequentRestarts", action="escalate", mark="f3"))
    restart, scale, people = acting.of("decided")
    assert [one["decision"] for one in (restart, scale, people)] == ["propose"] * 3
    assert restart["command"] == f"kubectl -n {shop.namespace} rollout restart deployment/web"
    assert scale["command"] == f"kubectl -n {shop.namespace} scale deployment/web --replicas=7"
    assert "for people" in people["message"]
    events = shop.kube.get(f"/api/v1/namespaces/{shop.namespace}/events")["items"]
    said = [event["message"] for event in events if event["reason"] == "RemedyProposed"]
    assert any("rollout restart deployment/web" in message for message in said)
    assert shop.look().deployment["metadata"]["generation"] == 1


def test_restart_is_carried_out_where_it_is_allowed_and_hides_no_way_back(shop):
    """Every pod is another one and ready; not again within its cool-down; a rollback still finds the good release."""
    shop.release("shop/web:2")
    before = {pod["metadata"]["name"] for pod in shop.look().serving()}
    with responding(shop, rollback={"allow": ["restart"]}) as acting:
        assert acting.handle(an_alert(DOWN, action="restart")) is True
        assert acting.handle(an_alert(DOWN, action="restart", mark="f2")) is False
        done, again = acting.of("decided")
        assert done["decision"] == "restart"
        assert again["refusal"] == "cool-down"
        assert acting.of("remedy.proven")[0]["verdict"] == "PASS"
        assert not before & {pod["metadata"]["name"] for pod in shop.look().serving()}
        assert lease(shop)["spec"]["holderIdentity"] == ""
        shop.settle()
        acting.handle(an_alert(mark="f3"))
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS"
    assert shop.images() == ["shop/web:1"] * 3


def test_scaling_is_carried_out_unless_quota_or_autoscaler_forbid_it(shop):
    """Seven replicas do not fit a quota of five pods, and an autoscaler would undo them: each is a reason."""
    quotas = f"/api/v1/namespaces/{shop.namespace}/resourcequotas"
    scalers = f"/apis/autoscaling/v2/namespaces/{shop.namespace}/horizontalpodautoscalers"
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": "5"}},
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "auto"},
              "spec": {"scaleTargetRef": target, "maxReplicas": 4}}  # fmt: skip
    scale = {"name": "X0TTA6BL4HighCPUUsage", "action": "scale"}
    with responding(shop, rollback={"allow": ["scale"]}) as acting:
        shop.kube.post(quotas, quota)
        shop.kube.patch(
            f"{quotas}/small/status", {"status": {"hard": {"pods": "5"}, "used": {"pods": "3"}}}, kind=MERGE
        )
        acting.handle(an_alert(**scale))
        shop.kube.delete(f"{quotas}/small")
        shop.kube.post(scalers, scaler)
        acting.handle(an_alert(**scale, mark="f2"))
        shop.kube.delete(f"{scalers}/auto")
        acting.handle(an_alert(**scale, mark="f3"))
        acting.handle(an_alert(**scale, mark="f4"))
    too_small, owned, done, cooling = acting.of("decided")
    assert "quota small leaves room for 2 more pods, 4 are needed" in too_small["message"]
    assert "autoscaler auto owns the replicas" in owned["message"]
    assert (done["decision"], cooling["refusal"]) == ("scale", "cool-down")
    assert acting.of("remedy.proven")[0]["message"] == "7 of 7 replicas are ready"
    assert len(shop.look().serving()) == 7
