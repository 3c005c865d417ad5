"""What the lab writes for the real programs is what they accept."""

import shutil
import subprocess

import pytest
import yaml

from lab.daemon import alertmanager, manifests, prometheus
from lab.daemon.prometheus import whole
from lab.errors import LabError

PLAN = {
    "kubeconfig": "/state/kubeconfig",
    "prometheus": "http://127.0.0.1:9090",
    "alertmanager": "http://127.0.0.1:9093",
    "ingress": "http://127.0.0.1:8080",
    "kube_state_metrics": "http://127.0.0.1:8081",
    "kubelet": "http://127.0.0.1:8082",
    "time_scale": "60",
}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("scale", ["1", "60"])
def test_promtool_accepts_the_configuration(folder, scale):
    """Prometheus' own checker reads it at true time and at the lab's."""
    folder.kubeconfig.touch()
    (folder.root / "token").touch()
    folder.config.mkdir()
    prometheus.configure(folder, {**PLAN, "kubeconfig": str(folder.kubeconfig), "time_scale": scale})
    argv = ["promtool", "check", "config", str(prometheus.configuration_file(folder))]
    checked = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_other_programs_tell_of_pods_keeps_the_pods_own_labels(folder):
    """kube-state-metrics and cAdvisor say namespace and pod of others: those win over the target's."""
    jobs = {job["job_name"]: job for job in yaml.safe_load(prometheus.configuration(folder, PLAN))["scrape_configs"]}
    assert all(jobs[name]["honor_labels"] for name in ("kube-state-metrics", "cadvisor"))
    assert jobs["kube-state-metrics"]["static_configs"] == [{"targets": ["127.0.0.1:8081"]}]
    assert jobs["kube-state-metrics"]["scrape_interval"] == "500ms"


def test_intervals_are_true_ones_divided_by_the_time_scale(folder):
    """15 s at scale 60 is 250 ms; a scrape may not take longer than its interval."""
    scaled = yaml.safe_load(prometheus.configuration(folder, PLAN))["global"]
    assert scaled == {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"}
    true = yaml.safe_load(prometheus.configuration(folder, {**PLAN, "time_scale": "1"}))["global"]
    assert true == {"scrape_interval": "15s", "scrape_timeout": "10s", "evaluation_interval": "15s"}


@pytest.mark.parametrize(("scale", "block"), [("1", "7200s"), ("60", "120s")])
def test_series_of_pods_that_are_gone_leave_memory_as_fast_as_pods_come_and_go(folder, scale, block):
    """Prometheus' own two hours at true time: sixty times as many pods come and go in the lab's."""
    argv = prometheus.argv("prometheus", folder, {**PLAN, "time_scale": scale})
    assert {f"--storage.tsdb.{which}-block-duration={block}" for which in ("min", "max")} <= set(argv)


@pytest.mark.parametrize(("seconds", "text"), [(0.25, "250ms"), (2.5, "2500ms"), (15, "15s"), (0.0001, "1ms")])
def test_durations_are_whole_as_prometheus_wants_them(seconds, text):
    """Prometheus reads neither 2.5s nor 0s."""
    assert whole(seconds) == text


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed")
def test_amtool_accepts_the_routes_of_a_lab_without_routes(tmp_path):
    """A lab without rules of its own still has a valid Alertmanager."""
    (tmp_path / "alertmanager.yml").write_text(alertmanager.NOBODY)
    argv = ["amtool", "check-config", str(tmp_path / "alertmanager.yml")]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_manifests_come_in_order_with_addresses_filled_in(tmp_path):
    """Files by name, documents in turn, ${key} from the plan; $(NAME) is for Kubernetes to fill in."""
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"
    (tmp_path / "20-b.yaml").write_text(body.replace("NAME", "c"))
    (tmp_path / "10-a.yaml").write_text(
        body.replace("NAME", "a") + "---\n" + body.replace("NAME", "b") + "data: {x: '${ingress}', y: $(HOST)}\n"
    )
    objects = manifests.read(tmp_path, PLAN)
    assert [each["metadata"]["name"] for each in objects] == ["a", "b", "c"]
    assert objects[1]["data"] == {"x": "http://127.0.0.1:8080", "y": "$(HOST)"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "manifest bad.yaml cannot be read"),
        ("a: ${nobody}", r"manifest bad.yaml asks for \$\{nobody\}, which"),
        ("just text", "without apiVersion, kind and metadata.name"),
        ("{apiVersion: v1, kind: Pod, metadata: {}}", "without apiVersion, kind and metadata.name"),
    ],
)
def test_a_malformed_manifest_is_one_sentence_that_names_the_file(tmp_path, text, complaint):
    """Whoever wrote it finds it again."""
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(LabError, match=complaint) as caught:
        manifests.read(tmp_path, PLAN)
    assert "\n" not in str(caught.value)
