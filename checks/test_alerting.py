"""Every alert of the runbooks can be raised, and somebody hears it."""

from muster.judge import alerting as judge
from muster.judge import firing, ruleset
from muster.judge import metric_types as types
from muster.pytest_plugin import chain, runbook


@runbook("x0tta6bl4#data-absent", step=3)
def test_every_alert_is_a_rule_in_force(rules, expected_rules):
    """Not by its name alone: with the expression, the duration and the labels of the facts."""
    ruleset.assert_every_rule_is_loaded(rules, expected_rules)


def test_the_alert_can_fire(alert, rules, rule_series, buckets, facts):
    """Each alert of the facts: a rule in force, on series that exist now, with a threshold in their unit."""
    firing.assert_can_fire(alert, rules, rule_series, buckets, facts)


@runbook("x0tta6bl4#data-absent", step=2)
def test_every_rate_is_taken_of_a_counter(metric_types, facts):
    """PromQL takes rate() of a gauge without a word, and the number means nothing."""
    types.assert_types_fit(metric_types, facts)


@chain
@runbook("x0tta6bl4#data-absent", step=3)
def test_prometheus_tells_an_alertmanager(alertmanagers, routes):
    judge.assert_prometheus_has_an_alertmanager(alertmanagers, routes)


@chain
@runbook("x0tta6bl4#rollback")
def test_every_alert_reaches_whom_it_should(rules, routes, facts):
    """Asked of Alertmanager's own routing tree, with the labels that the rules really carry."""
    judge.assert_every_alert_is_routed(rules, routes, facts)


@chain
@runbook("x0tta6bl4#rollback")
def test_no_alert_is_silenced(silences, rules, facts):
    judge.assert_nothing_is_silenced(silences, rules, facts)


@chain
@runbook("x0tta6bl4#rollback")
def test_no_firing_alert_is_held_back(notified, rules, facts):
    """An inhibition that is too wide swallows the page that matters."""
    judge.assert_nothing_is_held_back(notified, rules, facts)


@runbook("x0tta6bl4#service-down")
def test_nothing_critical_is_firing(alerts, rules, facts):
    judge.assert_nothing_critical_fires(alerts, rules, facts)
