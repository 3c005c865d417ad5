"""Another image in a pod that runs."""


def image(world, namespace, name, reference):
    world.patch(namespace, "pods", name, [{"op": "replace", "path": "/spec/containers/0/image", "value": reference}])


def test_a_pod_keeps_its_name_and_address_when_its_image_changes(world, namespace, serving, wait_until):
    """The program is ended and the new image's started in its place; both count as one restart, without back-off."""
    world.pod(namespace, "web", **serving)
    before = world.wait_ready(namespace, "web")

    def settled(reference, restarts, *, ready):
        found = world.get(namespace, "pods", "web")
        now = found["status"]["containerStatuses"][0]
        wanted = (reference, restarts, ready)
        return (now["image"], now["restartCount"], now["ready"]) == wanted and "running" in now["state"] and found

    image(world, namespace, "web", "lab.test/pause:1")
    wait_until(lambda: settled("lab.test/pause:1", 1, ready=False), "nobody to serve, and the probe to go unanswered")
    image(world, namespace, "web", "lab.test/web:2")
    after = wait_until(lambda: settled("lab.test/web:2", 2, ready=True), "the new image to serve")
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert '"VERSION": "2"' in world.asks(after, "/env")
