"""The client and the informer that everything in the lab uses."""

import asyncio
import base64

import pytest
import yaml

from lab.access import load
from lab.client import Client
from lab.errors import ApiError, LabError
from lab.informer import Informer
from lab.resources import CONFIGMAPS, PODS


def test_a_refusal_carries_the_servers_status_reason_and_message(world):
    """404, 401 and an unreachable server are told apart."""

    async def ask():
        async with Client.from_kubeconfig(world.state / "kubeconfig") as client:
            with pytest.raises(ApiError) as missing:
                await client.get(PODS, "default", "nosuch")
        config = yaml.safe_load((world.state / "kubeconfig").read_text())
        config["users"][0]["user"] = {"token": "wrong"}
        (world.state / "stranger").write_text(yaml.safe_dump(config))
        async with Client.from_kubeconfig(world.state / "stranger") as client:
            with pytest.raises(ApiError) as stranger:
                await client.list(PODS)
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
        (world.state / "nowhere").write_text(yaml.safe_dump(config))
        async with Client.from_kubeconfig(world.state / "nowhere") as client:
            with pytest.raises(ApiError) as nowhere:
                await client.list(PODS)
        return missing.value, stranger.value, nowhere.value

    missing, stranger, nowhere = asyncio.run(ask())
    assert (missing.status, missing.reason, missing.message) == (404, "NotFound", 'pods "nosuch" not found')
    assert missing.not_found
    assert (stranger.status, stranger.reason) == (401, "Unauthorized")
    assert nowhere.unreachable


def test_an_informer_reads_what_we_wrote_and_never_raises_the_dead(world, namespace):
    """An answer is learned at once; an answer that is older than what the watch told is not."""

    async def story():
        async with Client.from_kubeconfig(world.state / "kubeconfig") as client:
            informer = Informer(client, CONFIGMAPS, namespace=namespace)
            gone = asyncio.Event()
            informer.on_change(lambda _old, new: gone.set() if new is None else None)
            running = asyncio.create_task(informer.run())
            await informer.synced.wait()
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}}
            made = await client.create(CONFIGMAPS, body)
            informer.learn(made)
            assert informer.get(namespace, "a") is not None
            await client.delete(CONFIGMAPS, namespace, "a")
            await asyncio.wait_for(gone.wait(), 30)
            informer.learn(made)
            assert informer.get(namespace, "a") is None
            running.cancel()

    asyncio.run(story())


def test_an_informer_tells_what_changed_while_the_api_was_away(own_world):
    """Objects that came while nobody watched arrive after the reconnection, those that went are reported as gone."""

    def configmap(name):
        meta = {"name": name, "namespace": "default"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}

    async def story():
        seen = []
        async with Client.from_kubeconfig(own_world.state / "kubeconfig") as client:
            await client.create(CONFIGMAPS, configmap("before"))
            informer = Informer(client, CONFIGMAPS, namespace="default")
            changed = asyncio.Event()

            def note(old, new):
                seen.append(((old or new)["metadata"]["name"], new is not None))
                changed.set()

            informer.on_change(note)
            running = asyncio.create_task(informer.run())
            await informer.synced.wait()
            await asyncio.to_thread(own_world.stop, "api")
            await asyncio.to_thread(own_world.start, "api")
            await client.delete(CONFIGMAPS, "default", "before")
            await client.create(CONFIGMAPS, configmap("after"))
            async with asyncio.timeout(30):
                while informer.get("default", "after") is None or informer.get("default", "before") is not None:
                    changed.clear()
                    await changed.wait()
            running.cancel()
        return seen

    seen = asyncio.run(story())
    assert ("after", True) in seen
    assert ("before", False) in seen


def kubeconfig(user, cluster):
    return yaml.safe_dump(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
        }
    )


def test_a_kubeconfig_may_hold_its_certificates_inline_or_beside_it(world, tmp_path):
    """certificate-authority-data, and files relative to the kubeconfig, both work; the token is never shown."""
    ca = (world.state / "pki" / "ca.crt").read_bytes()
    (tmp_path / "ca.crt").write_bytes(ca)
    for cluster in (
        {"server": "https://127.0.0.1:1", "certificate-authority-data": base64.b64encode(ca).decode()},
        {"server": "https://127.0.0.1:1", "certificate-authority": "ca.crt"},
    ):
        (tmp_path / "config").write_text(kubeconfig({"token": "s3cret"}, cluster))
        access = load(tmp_path / "config")
        assert access.token() == "s3cret"
        assert "s3cret" not in repr(access)


@pytest.mark.parametrize(
    "content",
    ["", "{", "current-context: nosuch\ncontexts: []", kubeconfig({"exec": {}}, {"server": "https://x"})],
)
def test_a_kubeconfig_that_cannot_be_used_is_one_clear_sentence(tmp_path, content):
    """Empty, broken, without its context, or with a plugin: LabError names the file or what is missing."""
    (tmp_path / "config").write_text(content)
    with pytest.raises(LabError, match="kubeconfig"):
        load(tmp_path / "config")
