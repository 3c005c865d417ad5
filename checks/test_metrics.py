"""What the replicas tell about themselves, and whether the runbook's greps find it."""

from muster.judge import exposition as judge
from muster.judge import firing
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#data-absent", step=2)
def test_every_replica_exposes_its_metrics(metrics, facts):
    """Read strictly: what is malformed, or not what it says it is, Prometheus would not take either."""
    judge.assert_every_page_is_sound(metrics, facts)


@runbook("x0tta6bl4#high-error-rate", step=1)
def test_the_runbooks_greps_find_what_they_mean(metrics, facts):
    """A grep that finds nothing, or something else, reads as "nothing wrong"."""
    judge.assert_greps_find(metrics, facts.metric_names)


@runbook("x0tta6bl4#high-latency", step=1)
def test_the_histograms_can_tell_every_threshold(buckets, facts):
    """Between two bounds a quantile is a guess: 480 and 520 ms read alike."""
    firing.assert_buckets_tell_every_threshold(buckets, facts)
