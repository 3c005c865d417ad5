"""Logs, modules and certificates: each judge's FAIL, WARN, PASS and UNKNOWN."""

import warnings

import pytest

from muster.errors import Unknown
from muster.judge import Undeclared, inside, logs
from muster.judge.replicas import Replicas
from muster.system.expectations import Certificates, Logs, Pqc
from muster.verdict import SLOWarning

DAY = 86400.0
PQC = Pqc(
    allowed_groups=["X25519MLKEM768"], allowed_algorithms=["ML-KEM-768"], modules=["oqs"], documented_module="liboqs",
    fallback_forbidden=True, source="tests",
)  # fmt: skip
CERTIFICATES = Certificates(folder="/c", warn_before="14d", fail_before="3d", source="tests")
LOGS = Logs(
    window="5m", bursts=[{"name": "errors", "pattern": "ERROR", "most": 10, "runbook": "r#e", "source": "tests"}]
)
FAILED = {"failure": {"kind": "forbidden", "message": "may not"}}


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", SLOWarning)
        yield


# ---- logs


def said(running=None, window_s=300.0, **counts):
    replicas = {
        name: count
        if isinstance(count, dict)
        else {
            "lines": 99,
            "bytes": 1,
            "cut": False,
            "bursts": {"errors": {"count": count, "samples": [f"ERROR of {name}"]}},
        }
        for name, count in counts.items()
    }
    return logs.logs({"window_s": window_s, "running": running or len(counts), "replicas": replicas})


def cut(count):
    return {"lines": 9, "bytes": 9, "cut": True, "bursts": {"errors": {"count": count, "samples": []}}}


def test_a_burst_over_all_replicas_fails_with_its_worst_and_its_last_line():
    """No replica alone is over the limit; all together are."""
    logs.assert_no_burst(said(a=5, b=5), LOGS, "errors")
    with pytest.raises(AssertionError, match=r"11 log lines match ERROR in 5m, at most 10 .* \(6 of b\): ERROR of b"):
        logs.assert_no_burst(said(a=5, b=6), LOGS, "errors")


def test_a_log_that_could_not_be_read_or_was_cut_is_unknown_unless_the_rest_is_enough_to_fail():
    """What was not read may hold anything; what was read may already be too much."""
    with pytest.raises(Unknown, match="logs of b: may not"):
        logs.assert_no_burst(said(a=5, b=FAILED), LOGS, "errors")
    with pytest.raises(AssertionError, match="11 log lines"):
        logs.assert_no_burst(said(a=11, b=FAILED), LOGS, "errors")
    with pytest.raises(Unknown, match="the log of b is longer than what is read"):
        logs.assert_no_burst(said(a=1, b=cut(1)), LOGS, "errors")
    with pytest.raises(AssertionError, match="12 log lines"):
        logs.assert_no_burst(said(a=1, b=cut(11)), LOGS, "errors")
    with pytest.raises(Unknown, match="was not read for 'errors'"):
        logs.assert_no_burst(said(a={"lines": 1, "bytes": 1, "cut": False, "bursts": {}}), LOGS, "errors")


def test_a_sample_of_the_replicas_is_scaled_up():
    """Two of forty say one each: forty in all."""
    with pytest.raises(AssertionError, match="40 log lines"):
        logs.assert_no_burst(said(running=40, a=1, b=1), LOGS, "errors")
    logs.assert_no_burst(said(running=40, a=0, b=0), LOGS, "errors")


def test_a_burst_that_the_facts_do_not_name_is_not_judged():
    """Undeclared, which pytest shows as a skip."""
    for facts in (None, LOGS):
        with pytest.raises(Undeclared, match="'other'"):
            logs.assert_no_burst(said(a=1), facts, "other")


# ---- modules


def imports(**entries):
    raw = {
        name: entry if "failure" in entry else {"modules": entry, "algorithms": {"ML-KEM-768": entry.get("kem", "")}}
        for name, entry in entries.items()
    }
    return Replicas("modules", raw, lambda _, entry: inside.modules(entry))


def test_the_real_module_counts_and_the_documented_one_is_told_for_what_it_is():
    """With both names working nothing is said; with the real one only, the runbook is wrong."""
    inside.assert_modules_import(imports(a={"oqs": "", "liboqs": ""}), PQC)
    with pytest.warns(SLOWarning, match=r'own "import liboqs" cannot work \(No module\), and oqs is there'):
        inside.assert_modules_import(imports(a={"oqs": "", "liboqs": "No module"}), PQC)
    with pytest.raises(AssertionError, match="a cannot import oqs: No module"):
        inside.assert_modules_import(imports(a={"oqs": "No module", "liboqs": ""}), PQC)
    with pytest.raises(Unknown, match="modules of a: may not"):
        inside.assert_modules_import(imports(a=FAILED), PQC)
    with pytest.raises(Unknown, match="was not asked for the module oqs"):
        inside.assert_modules_import(imports(a={}), PQC)
    for facts in (None, PQC.model_copy(update={"modules": []})):
        with pytest.raises(Undeclared, match="which modules"):
            inside.assert_modules_import(imports(a={"oqs": ""}), facts)


def test_an_algorithm_that_does_not_work_fails():
    """A module that can be imported proves little."""
    inside.assert_algorithms_work(imports(a={"oqs": ""}), PQC)
    with pytest.raises(AssertionError, match="ML-KEM-768 does not work in a: two secrets"):
        inside.assert_algorithms_work(imports(a={"kem": "two secrets"}), PQC)
    untried = Replicas("modules", {"a": {"modules": {}, "algorithms": {}}}, lambda _, entry: inside.modules(entry))
    with pytest.raises(Unknown, match="a could not try ML-KEM-768"):
        inside.assert_algorithms_work(untried, PQC)
    with pytest.raises(Undeclared, match="which post-quantum algorithms"):
        inside.assert_algorithms_work(untried, PQC.model_copy(update={"allowed_algorithms": []}))


# ---- certificates


def folders(**changes):
    one = {"file": "tls.crt", "subject": "CN=a", "from": 0.0, "until": 100 * DAY}
    entry = {"folder": "/c", "missing": "", "files": ["tls.crt", "tls.key"], "certificates": [one], "broken": []}
    one.update({key: changes.pop(key) for key in ("from", "until") if key in changes})
    return Replicas("certificates", {"a": {**entry, **changes}}, lambda _, raw: inside.folder(raw))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"missing": "No such file or directory"}, "a has no folder /c: No such file"),
        ({"broken": ["ca.crt"]}, "a: ca.crt in /c holds no certificate"),
        ({"certificates": []}, r"there is no certificate in /c \(tls.crt, tls.key is there\)"),
        ({"certificates": [], "files": []}, r"there is no certificate in /c \(nothing is there\)"),
    ],
)
def test_a_folder_without_certificates_fails_with_what_is_there(changes, word):
    """No folder, an empty one, and a file that is none."""
    inside.assert_certificates_are_there(folders(), CERTIFICATES)
    with pytest.raises(AssertionError, match=word):
        inside.assert_certificates_are_there(folders(**changes), CERTIFICATES)


def test_a_certificate_near_its_end_warns_then_fails():
    """Fourteen days before, three days before, afterwards, and too early."""

    def judge(now, **changes):
        inside.assert_certificates_are_in_date(folders(**changes), CERTIFICATES, now=now)

    judge(85 * DAY)
    with pytest.warns(SLOWarning, match=r"tls.crt of a \(CN=a\) runs out in 14\.0 days; it is replaced 14d before"):
        judge(86 * DAY)
    with pytest.raises(AssertionError, match=r"runs out in 3\.0 days"):
        judge(97 * DAY)
    with pytest.raises(AssertionError, match=r"runs out in 1h"):
        judge(100 * DAY - 3600)
    with pytest.raises(AssertionError, match=r"ran out 5\.0 days ago"):
        judge(105 * DAY)
    with pytest.raises(AssertionError, match=r"is not valid before 10\.0 days from now"):
        judge(10 * DAY, **{"from": 20 * DAY})
    with pytest.raises(Unknown, match="no certificate that could be in date"):
        judge(10 * DAY, certificates=[])
    with pytest.raises(Undeclared, match="how long before its end"):
        inside.assert_certificates_are_in_date(folders(), None, now=0.0)
