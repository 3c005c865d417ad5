"""A plain kubeconfig is read as the official loader reads it, and anything else is left to that."""

import base64
import os
import subprocess
import sys

import pytest
import yaml

from muster.errors import UsageError
from muster.kube import load_access
from muster.kubeconfig import read_plain


@pytest.fixture
def write(tmp_path):
    """A kubeconfig with this cluster and user; returns its path."""

    def config(cluster=None, user=None, **changes):
        body = {
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443", **(cluster or {})}}],
            "users": [{"name": "u", "user": {"token": "sesame"} if user is None else user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], **changes,
        }  # fmt: skip
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(body))
        return file

    return config


@pytest.fixture
def ca(tmp_path):
    """Some certificate, as PEM."""
    import ssl

    context = ssl.create_default_context()
    pem = ssl.DER_cert_to_PEM_cert(context.get_ca_certs(binary_form=True)[0])
    (tmp_path / "ca.crt").write_text(pem)
    return pem


def officially(file, monkeypatch):
    """The same by the official loader."""
    monkeypatch.setattr("muster.kube.read_plain", lambda *_: None)
    return load_access(file)


def test_plain_and_official_agree(write, ca, tmp_path, monkeypatch):
    """Server, token and trust: from data, from files beside the kubeconfig, and without verification."""
    data = base64.b64encode(ca.encode()).decode()
    (tmp_path / "token").write_text("from-a-file")
    for cluster, user in (
        ({"certificate-authority-data": data}, {"token": "sesame"}),
        ({"certificate-authority": "ca.crt"}, {"tokenFile": str(tmp_path / "token")}),
        ({"insecure-skip-tls-verify": True}, {"token": "sesame"}),
        ({"server": "http://127.0.0.1:1/"}, {}),
    ):
        file = write(cluster, user)
        assert read_plain([file], None) is not None
        mine = load_access(file)
        with monkeypatch.context() as patched:
            theirs = officially(file, patched)
        assert (mine.server, mine.headers) == (theirs.server, theirs.headers)
        assert mine.verify.verify_mode == theirs.verify.verify_mode
        assert mine.verify.get_ca_certs() == theirs.verify.get_ca_certs()


@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        ({}, {"exec": {"command": "login"}}),
        ({}, {"auth-provider": {"name": "oidc"}}),
        ({}, {"client-certificate-data": "YQ==", "client-key-data": "YQ=="}),
        ({}, {"client-certificate": "a.crt"}),
        ({}, {"username": "u", "password": "p"}),
        ({}, {"token": 7}),
        ({}, {"tokenFile": "/no/such/file"}),
        ({"proxy-url": "http://proxy"}, {}),
        ({"server": "127.0.0.1:6443"}, {}),
        ({"certificate-authority-data": "%%%"}, {}),
        ({"certificate-authority": "none.crt"}, {}),
    ],
)
def test_what_is_not_plain_is_left_to_the_official_loader(write, cluster, user):
    """Nothing is guessed: a key that is not known here, and a file that is not there."""
    assert read_plain([write(cluster, user)], None) is None


def test_the_context_that_is_named_is_the_one_that_is_read(write):
    """The current one without a name; one that does not exist is a sentence, and never another one."""
    there = [{"name": name, "context": {"cluster": cluster, "user": "u"}} for name, cluster in (("x", "c"), ("y", "d"))]
    clusters = [{"name": name, "cluster": {"server": f"https://{name}"}} for name in ("c", "d")]
    file = write(contexts=there, clusters=clusters)
    assert (load_access(file).server, load_access(file, "y").server) == ("https://c", "https://d")
    with pytest.raises(UsageError, match=r"cannot be used: .*nope"):
        load_access(file, "nope")


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "{}", "contexts: 7"])
def test_what_is_no_kubeconfig_is_one_sentence(write, text):
    """By the official loader's own words, and a usage error."""
    file = write()
    file.write_text(text)
    with pytest.raises(UsageError, match=r"kubeconfig .* cannot be used"):
        load_access(file)


def test_a_broken_ca_is_one_sentence(write):
    """It is PEM by name only."""
    with pytest.raises(UsageError, match="cannot be used: its certificates"):
        load_access(write({"certificate-authority-data": base64.b64encode(b"nothing").decode()}))


def test_a_plain_one_imports_nothing_of_the_official_client(write):
    """That is what it is for."""
    code = (
        "import sys; from muster.kube import load_access; load_access(sys.argv[1]); print('kubernetes' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(write())], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.fixture
def several(tmp_path):
    """A list of kubeconfigs as KUBECONFIG holds it; the first has no current context, the last another cluster "c"."""

    def config(folder, current, server, token, **more):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "config"
        body = {"clusters": [{"name": folder, "cluster": {"server": server}}], "users": [], "contexts": [], **more}
        file.write_text(yaml.safe_dump(body | ({"current-context": current} if current else {})))
        return str(file)

    contexts = [{"name": name, "context": {"cluster": name, "user": "u"}} for name in ("one", "two", "three")]
    (tmp_path / "token").write_text("beside-the-second")
    one = config("one", "", "https://1", "", contexts=contexts)
    users = [{"name": "u", "user": {"tokenFile": "../token"}}]
    two = config("two", "two", "https://2", "", users=users)
    later = [
        {"name": "two", "cluster": {"server": "https://other"}},
        {"name": "three", "cluster": {"server": "https://3"}},
    ]
    three = config("three", "three", "", "", clusters=later, users=[{"name": "u", "user": {"token": "other"}}])
    return os.pathsep.join([one, str(tmp_path / "missing"), "", two, three])


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "official"])
def test_a_list_of_kubeconfigs_is_merged_as_kubectl_does(several, monkeypatch, plain):
    """The first file of each name counts, files that are missing are skipped, paths are relative to their own file."""
    if not plain:
        monkeypatch.setattr("muster.kube.read_plain", lambda *_: None)
    for context, server in ((None, "https://2"), ("one", "https://1"), ("three", "https://3")):
        access = load_access(several, context)
        assert access.server == server
        assert access.headers == {"Authorization": "Bearer beside-the-second"}


def test_a_home_that_nobody_has_is_a_file_that_is_missing(several):
    """One sentence, as of any file that is not there; in a list it is skipped."""
    nobody = "~no-such-user/config"
    with pytest.raises(UsageError, match=f"^kubeconfig {nobody} does not exist$"):
        load_access(nobody)
    assert load_access(os.pathsep.join([nobody, several])).server == "https://2"


def test_a_list_of_which_no_file_exists_is_one_sentence(tmp_path):
    """It is a usage error, and names the list."""
    with pytest.raises(UsageError, match=r"none of the kubeconfigs .*/a:.*/b exists"):
        load_access(f"{tmp_path}/a:{tmp_path}/b")
