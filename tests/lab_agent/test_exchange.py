"""Another image in a pod that runs."""

DAWDLER = """
import pathlib, time
pathlib.Path({reading!r}).touch()
while not pathlib.Path({go_on!r}).exists():
    time.sleep(0.01)
if __name__ == "__main__":
    time.sleep(600)
"""


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


def test_an_image_that_is_named_during_a_start_is_the_one_that_runs(world, namespace, serving, tmp_path, wait_until):
    """What was pulled before is not started any more, and nothing has been restarted."""
    reading, go_on = tmp_path / "reading", tmp_path / "go-on"
    program = tmp_path / "dawdler" / "__main__.py"
    program.parent.mkdir()
    program.write_text(DAWDLER.format(reading=str(reading), go_on=str(go_on)))
    dawdler = {"tags": ["1"], "warm": True, "command": ["{python}", "-m", "dawdler"], "files": [str(program)]}
    world.write_images(**{"lab.test/dawdler": dawdler | {"env": {"PYTHONPATH": f"{{root}}:{tmp_path}"}}})
    world.pod(namespace, "web", **serving | {"image": "lab.test/dawdler:1"})
    wait_until(reading.exists, "its start to take its time")
    image(world, namespace, "web", "lab.test/web:2")
    world.pod(namespace, "later", image="lab.test/pause:1")
    world.wait_ready(namespace, "later")  # the agent has heard of the other image, too
    go_on.touch()
    after = world.wait_ready(namespace, "web")
    assert '"VERSION": "2"' in world.asks(after, "/env")
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
