"""Alerting end to end, with the rules and routes that are rendered from the facts."""

import dataclasses

import pytest

from muster.errors import Unknown
from muster.judge import Firing, alerting, routing, ruleset
from muster.read.alertmanager import _kinds, _route
from muster.responder.escalate import alert_for
from muster.rules.alertmanager import config
from muster.rules.prometheus import groups
from muster.system import load_system
from muster.system.environment import Environment
from muster.verdict import SLOWarning

ROLLBACK = "X0TTA6BL4ErrorRatioRollback"


@pytest.fixture(scope="module")
def facts():
    return load_system("x0tta6bl4")


@pytest.fixture(scope="module")
def here(facts):
    channel = {"kind": "webhook", "url": "http://pager"}
    return Environment.model_validate(
        {
            "name": "lab",
            "description": "tests",
            "responder": "http://r",
            "contacts": dict.fromkeys(facts.contacts, channel),
        }
    )


@pytest.fixture
def loaded(facts, here):
    """The rules as a Prometheus holds them."""
    return {
        rule["alert"]: ruleset.Rule(
            name=rule["alert"], group="g", query=rule["expr"], for_s=0, labels=rule["labels"], health="ok",
            last_error="", state="inactive",
        )
        for group in groups(facts, here) for rule in group["rules"] if "alert" in rule
    }  # fmt: skip


@pytest.fixture
def tree(facts, here):
    """The routes as an Alertmanager holds them."""
    made = config(facts, here)
    receivers = {receiver["name"]: _kinds(receiver) for receiver in made["receivers"]}
    return {"route": _route(made["route"]), "receivers": receivers, "responder": True}


def test_what_is_rendered_from_the_facts_is_routed(loaded, tree, facts):
    """The routes' own maker satisfies their judge."""
    alerting.assert_every_alert_is_routed(tuple(loaded.values()), routing.routes(tree), facts)


def test_a_page_that_reaches_the_wrong_people_is_found(loaded, tree, facts):
    """Everything to the default receiver: whoever is missing is named."""
    tree["route"]["routes"] = []
    with pytest.raises(AssertionError, match=r"does not reach .*team-lead: it reaches x0tta6bl4/lab/on-call"):
        alerting.assert_every_alert_is_routed((loaded[ROLLBACK],), routing.routes(tree), facts)


@pytest.mark.parametrize(
    ("contact", "receiver", "is_named"),
    [
        ("team_lead", "team_lead+cto", True),
        ("team lead", "page team lead", True),
        ("on-call", "prod-on-call", False),
        ("on-call", "monitoring/x/on-call", True),
        ("lab", "x0tta6bl4/lab/on-call", False),
        ("a.b", "a-b", False),
    ],
)
def test_a_contact_is_a_word_of_the_receivers_name(loaded, tree, facts, contact, receiver, is_named):
    """However it is spelt; what says whose receiver it is names nobody."""
    entry = facts.alerts[ROLLBACK].model_copy(update={"tell": [contact]})
    known = facts.model_copy(update={"alerts": {ROLLBACK: entry}, "rollback_failed": None})
    tree["route"] |= {"receiver": receiver, "routes": []}
    tree |= {"receivers": {receiver: ["webhook"]}, "responder": False}
    with pytest.raises(Unknown if is_named else AssertionError, match="DataAbsent" if is_named else "does not reach"):
        alerting.assert_every_alert_is_routed((loaded[ROLLBACK],), routing.routes(tree), known)


def test_a_rollback_trigger_that_no_responder_hears_is_found(loaded, tree, facts):
    """People are told, but nothing would roll back."""
    own = tree["route"]["routes"][0]
    assert own["routes"].pop(0)["receiver"].endswith("/responder")
    with pytest.raises(AssertionError, match="no responder hears of it"):
        alerting.assert_every_alert_is_routed((loaded[ROLLBACK],), routing.routes(tree), facts)


def test_no_receiver_with_an_integration_is_nobody(loaded, tree, facts):
    """Receivers exist, and all of them are empty."""
    tree["receivers"] = {name: [] for name in tree["receivers"]}
    with pytest.raises(AssertionError, match="is routed to nobody"):
        alerting.assert_every_alert_is_routed((loaded[ROLLBACK],), routing.routes(tree), facts)


def test_a_route_with_hours_warns(loaded, tree, facts):
    """Who is paged at noon only is not paged at night."""
    own = tree["route"]["routes"][0]
    own["routes"] = [{**node, "muted": True} for node in own["routes"]]
    with pytest.warns(SLOWarning, match=f"{ROLLBACK} does not reach .* at all hours"):
        alerting.assert_every_alert_is_routed(tuple(loaded.values()), routing.routes(tree), facts)


def test_without_rules_routing_is_unknown(tree, facts):
    """No labels, nothing to route: not a pass."""
    with pytest.raises(Unknown, match="none of the facts' rules"):
        alerting.assert_every_alert_is_routed((), routing.routes(tree), facts)


def test_an_alert_that_is_no_rule_leaves_its_way_unknown(loaded, tree, facts):
    """What labels it would carry is not known; what is wrong with the others is said first."""
    rest = tuple(rule for name, rule in loaded.items() if name != ROLLBACK)
    with pytest.raises(Unknown, match=f"Prometheus has no rule {ROLLBACK}, so it is not known where"):
        alerting.assert_every_alert_is_routed(rest, routing.routes(tree), facts)


def test_the_responders_own_alert_must_reach_people_too(loaded, tree, facts, here):
    """A rollback that failed, and nobody hears of it: the labels are those that the responder sends."""
    failed = facts.rollback_failed
    sent = alert_for(facts, here, ROLLBACK, "why", now=0.0)["labels"]
    judged = alerting._labels_of_rollback_failed(facts, loaded[ROLLBACK].labels)
    assert judged.items() <= sent.items()
    top = tree["route"]
    swallow = {**top, "receiver": "", "matchers": [f'alertname="{failed.alert}"'], "continue": False}
    top["routes"] = [{**swallow, "receiver": "nobody", "routes": []}, *top["routes"]]
    tree["receivers"]["nobody"] = []
    with pytest.raises(AssertionError, match=f"{failed.alert} is routed to nobody"):
        alerting.assert_every_alert_is_routed(tuple(loaded.values()), routing.routes(tree), facts)


def alert(state, severity, name="X", **labels):
    labels = labels or {"system": "x0tta6bl4"}
    return alerting.Alert(
        name=name,
        state=state,
        labels={"severity": severity, **labels},
        summary="it burns",
        active_at="2026-01-01T09:12:03Z",
    )


def test_a_critical_alert_that_names_no_system_warns_unless_it_is_one_of_the_facts(loaded, facts):
    """On a managed cluster KubeSchedulerDown fires for good, and Watchdog everywhere; a rule by hand has no labels."""
    rules, unnamed = tuple(loaded.values()), {"cluster": "a"}
    down = dataclasses.replace(alert("firing", "critical", "KubeSchedulerDown", **unnamed), summary="")
    told = (down, alert("firing", "none", "Watchdog", **unnamed))
    with pytest.warns(
        SLOWarning, match=r"KubeSchedulerDown is firing since 2026-01-01 09:12 \(it names no system\)"
    ) as warned:
        alerting.assert_nothing_critical_fires(told, rules, facts)
    assert len(warned) == 1
    with pytest.raises(AssertionError, match=f"{ROLLBACK} is firing"):
        alerting.assert_nothing_critical_fires((alert("firing", "critical", ROLLBACK, **unnamed),), rules, facts)
    alerting.assert_nothing_is_held_back(holds(labels={"severity": "critical"}), rules, facts)


def test_a_critical_alert_that_fires_fails_and_another_warns(loaded, facts):
    """Pending is not firing."""
    rules = tuple(loaded.values())
    alerting.assert_nothing_critical_fires((alert("pending", "critical"),), rules, facts)
    with pytest.raises(AssertionError, match="X is firing since 2026-01-01 09:12: it burns"):
        alerting.assert_nothing_critical_fires((alert("firing", "critical"),), rules, facts)
    with pytest.warns(SLOWarning, match="X is firing"):
        alerting.assert_nothing_critical_fires((alert("firing", "warning"),), rules, facts)


def test_where_no_rule_is_evaluated_that_nothing_fires_is_unknown(loaded, facts):
    """A Prometheus without our rules is always silent. One that fires all the same still fails."""
    stranger = dataclasses.replace(loaded[ROLLBACK], name="SomebodyElses")
    waiting = dataclasses.replace(loaded[ROLLBACK], health="unknown")
    for rules in ((), (stranger,), (waiting,)):
        with pytest.raises(Unknown, match="evaluates none of the facts' rules"):
            alerting.assert_nothing_critical_fires((), rules, facts)
    with pytest.raises(Firing, match="X is firing") as caught:
        alerting.assert_nothing_critical_fires((alert("firing", "critical"),), (), facts)
    assert caught.value.alert == "X"


def test_a_critical_rule_that_is_not_evaluated_could_not_fire(loaded, facts):
    """All the others are quiet: that says nothing of it."""
    for rules in (
        [rule for name, rule in loaded.items() if name != ROLLBACK],
        [*({**loaded, ROLLBACK: dataclasses.replace(loaded[ROLLBACK], health="err")}).values()],
    ):
        with pytest.raises(Unknown, match=f"does not evaluate {ROLLBACK}, so it is not known"):
            alerting.assert_nothing_critical_fires((), tuple(rules), facts)


def test_where_no_rule_is_loaded_that_nothing_is_silenced_is_unknown(loaded, facts):
    """There are no labels that a silence could cover."""
    stranger = dataclasses.replace(loaded[ROLLBACK], name="SomebodyElses")
    for rules in ((), (stranger,)):
        with pytest.raises(Unknown, match="none of the facts' rules"):
            alerting.assert_nothing_is_silenced((), rules, facts)


def test_an_alertmanager_that_is_known_but_tells_nobody_fails(tree):
    """The address alone proves nothing."""
    alerting.assert_prometheus_has_an_alertmanager(("http://am",), routing.routes(tree))
    with pytest.raises(AssertionError, match="knows no Alertmanager"):
        alerting.assert_prometheus_has_an_alertmanager((), routing.routes(tree))
    tree["receivers"] = {name: [] for name in tree["receivers"]}
    with pytest.raises(AssertionError, match="sends to http://am, but no receiver of Alertmanager tells anybody"):
        alerting.assert_prometheus_has_an_alertmanager(("http://am",), routing.routes(tree))


def test_a_silence_over_an_alert_of_the_runbooks_warns(loaded, facts):
    """Nobody is paged while it lasts: who, until when and why is said."""

    def silence(operator, value):
        matcher = routing.Matcher("severity", operator, value)
        return alerting.Silence(matchers=(matcher,), ends_at="2026-01-01T10:00:00Z", by="joe", comment="works")

    with pytest.warns(SLOWarning, match="is silenced until 2026-01-01 10:00 by joe: works"):
        alerting.assert_nothing_is_silenced((silence("=~", "crit.*"),), tuple(loaded.values()), facts)
    alerting.assert_nothing_is_silenced((silence("=", "none"),), tuple(loaded.values()), facts)


def holds(**changes):
    labels = {"severity": "critical", "system": "x0tta6bl4"}
    entry = {"name": "X", "labels": labels, "state": "suppressed", "silenced_by": []}
    return alerting.held([{**entry, **changes}])


def test_a_critical_alert_that_another_inhibits_is_told_to_nobody_and_fails(loaded, facts):
    """A silence is somebody's own will and warns; a warning that is inhibited is as meant."""
    rules = tuple(loaded.values())
    alerting.assert_nothing_is_held_back(holds(state="active"), rules, facts)
    alerting.assert_nothing_is_held_back(holds(labels={"severity": "warning", "system": "x0tta6bl4"}), rules, facts)
    with pytest.raises(AssertionError, match="X fires, and Alertmanager tells nobody: another alert inhibits it"):
        alerting.assert_nothing_is_held_back(holds(), (), facts)
    with pytest.warns(SLOWarning, match="it is silenced"):
        alerting.assert_nothing_is_held_back(holds(silenced_by=["id"]), rules, facts)
    with pytest.raises(Unknown, match="evaluates none of the facts' rules"):
        alerting.assert_nothing_is_held_back((), (), facts)
