"""Network faults between real programs."""

import asyncio
import signal

import pytest

from lab.chaos import detours
from lab.chaos.links import Effect
from lab.chaos.spec import Plan, Selection
from lab.errors import LabError

EVERYBODY = Selection(mode="all", value="", selector={})


async def at_best(place, target, source=None):
    """The least that some calls take: a busy machine is slow now and then, a fault always."""
    return min([(await place.call(target, source=source))[0] for _ in range(5)])


def plan(effect, *, target=False, direction="to"):
    selections = {".": EVERYBODY} | ({".Target": EVERYBODY} if target else {})
    return Plan(action="x", selections=selections, duration_s=None, effect=effect, direction=direction)


@pytest.mark.usefixtures("kernel")
def test_a_delay_is_felt_by_whoever_talks_to_the_pod_and_by_whom_it_talks_to(run):
    """The handshake and each answer take the latency longer; addresses stay; another pair feels nothing."""

    async def scenario(place):
        for number in (1, 2, 3):
            await place.serve(number)
        await place.bring(plan(Effect(delay_s=0.1)), [1])
        took_s, lines = await place.call(1, source=2)
        assert 0.28 < took_s < 10
        assert lines == [place.address(2), "hello"]
        took_s, _ = await place.call(2, source=1)
        assert 0.18 < took_s < 10
        assert await at_best(place, 2, source=3) < 0.18

    run(scenario)


@pytest.mark.usefixtures("kernel")
def test_established_connections_are_cut_once_and_new_ones_are_slow(run):
    """Only new connections meet the rules, so the old ones are reset; healing touches none that is in use."""

    async def scenario(place):
        await place.serve(1)
        reader, writer = await asyncio.open_connection(place.address(1), 8080)
        await reader.readline()
        await place.bring(plan(Effect(delay_s=0.05)), [1])
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(reader.readline(), 20)
        writer.close()
        assert (await place.call(1))[0] > 0.1
        reader, writer = await asyncio.open_connection(place.address(1), 8080)
        await reader.readline()
        writer.write(b"half")
        await asyncio.sleep(0.1)
        await place.network.lift("u", ".", "n/p1")
        assert await at_best(place, 1) < 0.1
        await asyncio.sleep(0.3)
        writer.write(b" whole\n")
        assert await asyncio.wait_for(reader.readline(), 20) == b"half whole\n"
        assert await asyncio.wait_for(reader.read(), 20) == b""  # between two exchanges it is let go
        await place.rules(lambda told: not told)
        writer.close()

    run(scenario)


@pytest.mark.usefixtures("kernel")
def test_a_partition_is_between_the_two_groups_only_and_established_connections_survive_it(run):
    """Packets are dropped, so nobody gets an answer; afterwards TCP itself brings what was on its way."""

    async def scenario(place):
        for number in (1, 2, 3):
            await place.serve(number)
        local = (place.address(1), 0)
        reader, writer = await asyncio.open_connection(place.address(2), 8080, local_addr=local)
        await reader.readline()
        await place.bring(plan(Effect(cut=True), target=True, direction="both"), [1], [2])
        for target, source in ((1, 2), (2, 1)):
            with pytest.raises(TimeoutError):
                await place.call(target, source=source, timeout_s=0.3)
        await place.call(2, source=3)
        await place.call(1, source=3)
        writer.write(b"late\n")
        await place.network.lift("u", ".", "n/p1")
        await place.network.lift("u", ".Target", "n/p2")
        assert await asyncio.wait_for(reader.readline(), 30) == b"late\n"
        await place.call(2, source=1)
        writer.close()

    run(scenario)


@pytest.mark.usefixtures("kernel")
def test_a_share_of_connections_fails(run):
    """Loss of 50%: about half of the calls are reset; of 100%: all."""

    async def scenario(place):
        await place.serve(1)
        await place.bring(plan(Effect(loss=0.5)), [1])
        outcomes = await asyncio.gather(*(place.call(1, words=()) for _ in range(100)), return_exceptions=True)
        failed = sum(isinstance(each, OSError) for each in outcomes)
        assert 25 < failed < 75
        await place.bring(plan(Effect(loss=1.0)), [1], uid="v")
        with pytest.raises(ConnectionError):
            await place.call(1)

    run(scenario)


@pytest.mark.usefixtures("kernel")
def test_rules_end_with_the_process_that_holds_them_and_are_made_again(run):
    """Even SIGKILL for nft leaves nothing in the kernel; while the object is there, so is its fault."""

    async def scenario(place):
        await place.serve(1)
        await place.bring(plan(Effect(cut=True)), [1])
        first = place.network._firewall._nft
        first.kill()
        await first.wait()
        await place.rules(lambda told: "drop" in told and place.network._firewall._nft is not first)
        with pytest.raises(TimeoutError):
            await place.call(1, timeout_s=0.3)
        await place.network.lift("u", ".", "n/p1")
        await place.call(1)
        await place.rules(lambda told: not told)

    run(scenario)


@pytest.mark.usefixtures("kernel")
def test_what_the_kernel_has_refused_is_not_taken_for_done(run, monkeypatch):
    """Neither a fault nor its end: whoever tries again has it done."""

    async def refused(attempt):
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr("lab.chaos.firewall.render", lambda *_: ["nonsense"])
            with pytest.raises(LabError, match="syntax error"):
                await attempt()

    async def scenario(place):
        for number in (1, 2):
            await place.serve(number)
        cut = plan(Effect(cut=True))
        await place.bring(cut, [2])
        await refused(lambda: place.bring(cut, [1]))
        await place.bring(cut, [1])
        with pytest.raises(TimeoutError):
            await place.call(1, timeout_s=0.3)
        await refused(lambda: place.network.lift("u", ".", "n/p1"))
        await place.network.lift("u", ".", "n/p1")
        await place.call(1)

    run(scenario)


@pytest.mark.usefixtures("kernel")
def test_an_nft_that_does_not_answer_is_replaced(run, monkeypatch):
    """Its late answers would be taken for those to what it is told next."""

    async def scenario(place):
        for number in (1, 2):
            await place.serve(number)
        cut = plan(Effect(cut=True))
        await place.bring(cut, [2])
        place.network._firewall._nft.send_signal(signal.SIGSTOP)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr("lab.chaos.firewall._ANSWER_S", 0.3)
            with pytest.raises(LabError, match="nft does not answer"):
                await place.bring(cut, [1])
        await place.bring(cut, [1])
        for number in (1, 2):
            with pytest.raises(TimeoutError):
                await place.call(number, timeout_s=0.3)

    run(scenario)


def test_without_the_kernel_the_ingress_is_told_where_to_go(run, monkeypatch):
    """The published address delays, for every port of the pod; once healed it is withdrawn."""
    monkeypatch.setattr("lab.chaos.firewall._PATH", "/nowhere")

    async def scenario(place):
        await place.serve(1)
        await place.bring(plan(Effect(delay_s=0.05)), [1])
        assert place.network.refusal == "nft is not installed"
        known = detours.read(detours.file(place.state))
        host, _, port = known[f"{place.address(1)}:8080"].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        began = asyncio.get_running_loop().time()
        await reader.readline()
        assert asyncio.get_running_loop().time() - began > 0.04
        writer.close()
        await place.network.lift("u", ".", "n/p1")
        assert not detours.file(place.state).exists()

    run(scenario)


@pytest.mark.usefixtures("kernel")
def test_large_bodies_pass_whole_and_in_order(run):
    """Both directions at once, more than the proxy holds, with jitter."""

    async def scenario(place):
        await place.serve(1)
        await place.bring(plan(Effect(delay_s=0.002, jitter_s=0.002)), [1])
        reader, writer = await asyncio.open_connection(place.address(1), 8080)
        await reader.readline()
        body = b"".join(b"%07d\n" % number for number in range(500_000))
        writer.write(body)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 60) == body
        writer.close()

    run(scenario)
