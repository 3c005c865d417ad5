"""The module ``oqs`` of the service's image: liboqs-python's interface on real ML-KEM."""

import importlib.util
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey

FILE = Path(__file__).resolve().parents[2] / "lab" / "service" / "site" / "oqs.py"


@pytest.fixture(scope="module")
def oqs():
    """Loaded by its path: only the service's image has it on its own."""
    spec = importlib.util.spec_from_file_location("oqs", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("algorithm", "sizes"), [("ML-KEM-768", (1184, 1088)), ("ML-KEM-1024", (1568, 1568))])
def test_a_secret_goes_there_and_back(oqs, algorithm, sizes):
    """Both sides have the same 32 bytes, and keys and ciphertexts have the sizes of FIPS 203."""
    with oqs.KeyEncapsulation(algorithm) as one, oqs.KeyEncapsulation(algorithm) as other:
        public = one.generate_keypair()
        sent, secret = other.encap_secret(public)
        assert one.decap_secret(sent) == secret
        assert (len(public), len(sent), len(secret)) == (*sizes, 32)
        again = oqs.KeyEncapsulation(algorithm, secret_key=one.export_secret_key())
        assert again.decap_secret(sent) == secret
    assert oqs.is_kem_enabled(algorithm)
    assert algorithm in oqs.get_enabled_kem_mechanisms()


def test_another_library_understands_its_keys(oqs):
    """They are ML-KEM's own, not something that only this module can read."""
    with oqs.KeyEncapsulation("ML-KEM-768") as one:
        secret, sent = MLKEM768PublicKey.from_public_bytes(one.generate_keypair()).encapsulate()
        assert one.decap_secret(sent) == secret


def test_a_ciphertext_that_was_touched_gives_another_secret(oqs):
    """Implicit rejection: no error tells an attacker anything."""
    with oqs.KeyEncapsulation("ML-KEM-768") as one:
        sent, secret = one.encap_secret(one.generate_keypair())
        assert one.decap_secret(bytes([sent[0] ^ 1]) + sent[1:]) != secret


def test_what_it_cannot_do_is_refused(oqs):
    """An algorithm that it has not, a key that there is not, and one that is none."""
    with pytest.raises(oqs.MechanismNotSupportedError, match="Kyber768 is not supported"):
        oqs.KeyEncapsulation("Kyber768")
    with oqs.KeyEncapsulation("ML-KEM-768") as one:
        with pytest.raises(RuntimeError, match="no key pair yet"):
            one.decap_secret(b"")
        with pytest.raises(ValueError, match=r".+"):
            one.encap_secret(b"short")
        one.generate_keypair()
        one.free()
        with pytest.raises(RuntimeError, match="no key pair yet"):
            one.export_secret_key()
    assert not oqs.is_kem_enabled("Kyber768")
