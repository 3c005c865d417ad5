"""Inside the pods: liboqs is there and works, certificates are there and in date."""

from muster.judge import inside as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#pqc-handshake-failure", step=2)
def test_liboqs_can_be_imported(modules, facts):
    """By the module's real name; that the documents name another is said, too."""
    judge.assert_modules_import(modules, facts.pqc)


@runbook("x0tta6bl4#pqc-handshake-failure", step=2)
def test_liboqs_speaks_the_allowed_algorithms(modules, facts):
    """Not by its word: a secret goes through encapsulation and back."""
    judge.assert_algorithms_work(modules, facts.pqc)


@runbook("x0tta6bl4#pqc-handshake-failure", step=4)
def test_certificates_are_present(certificates, facts):
    judge.assert_certificates_are_there(certificates, facts.certificates)


@runbook("x0tta6bl4#pqc-handshake-failure", step=4)
def test_certificates_are_in_date(certificates, facts, snapshot):
    judge.assert_certificates_are_in_date(certificates, facts.certificates, now=snapshot.taken_at)
