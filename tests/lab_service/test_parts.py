"""The small parts: metrics text, certificates, sampled logs."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client.parser import text_string_to_metric_families

from lab.service import certs, metrics
from lab.service.logs import Sampled


def test_a_histogram_reads_back_as_it_was_filled():
    """Buckets are cumulative and inclusive; labels are escaped."""
    family = metrics.histogram("took_seconds", "Time.", (0.1, 0.5), "path")
    child = family.of('a"\\\n')
    for value in (0.05, 0.1, 0.3, 7.0):
        child.observe(value)
    (read,) = text_string_to_metric_families("\n".join(family.render()) + "\n")
    buckets = {sample.labels["le"]: sample.value for sample in read.samples if sample.name.endswith("_bucket")}
    assert buckets == {"0.1": 2, "0.5": 3, "+Inf": 4}
    assert {sample.labels["path"] for sample in read.samples} == {'a"\\\n'}
    assert family.of('a"\\\n') is child


def test_a_family_without_children_shows_nothing():
    """Absence must mean absence."""
    assert list(metrics.counter("nothing_total", "None.", "kind").render()) == []


def test_replicas_that_share_a_folder_end_up_with_one_matching_pair(tmp_path):
    """Many make certificates at once: the pair on disk belongs together, nothing else is left behind."""
    root = tmp_path / "etc" / "certs"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: certs.ensure(root, f"r{number}", "127.0.0.1", 60), range(8)))
    certificate = x509.load_pem_x509_certificate((root / "tls.crt").read_bytes())
    key = load_pem_private_key((root / "tls.key").read_bytes(), None)
    assert certificate.public_key() == key.public_key()
    assert [path.name for path in root.parent.iterdir()] == ["certs"]


def test_sampled_lines_say_how_many_were_left_out(caplog, monkeypatch):
    """Five of a thousand in one second, and the next second's first line counts the rest."""
    now = [100.0]
    monkeypatch.setattr("lab.service.logs.time.monotonic", lambda: now[0])
    sampled = Sampled("api")
    with caplog.at_level(logging.INFO):
        for _ in range(1_000):
            sampled.write(logging.ERROR, "GET %s", "/x")
        now[0] = 101.0
        sampled.write(logging.ERROR, "GET %s", "/x")
    assert [record.getMessage() for record in caplog.records] == ["GET /x"] * 5 + ["GET /x (995 more like it)"]
