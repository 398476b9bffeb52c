"""Several `udpim serve` on one store: whichever dies, nothing is lost and nothing comes twice."""

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager

import pytest

import udpim
from tests.cli.processes import PLAIN, one_line, started
from tests.cli.processes import udpim as udpim_command
from tests.runtime.helpers import live, payloads, take
from udpim import MessageState
from udpim.cluster.sqlite_directory import SQLiteDirectory

MESSAGES = 120
LEASE_S = 1.0


class Process:
    """One server process of the cluster."""

    def __init__(self, folder, number):
        self._folder = folder
        self.number = number
        self.port = 0
        self.child = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    async def start(self):
        self.child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "udpim", "serve", "--json", "--open", "--security", "plain"),
            *("--store", str(self._folder / "shared.db"), "--cluster", str(self._folder / "meet")),
            *("--port", str(self.port), "--lease", str(LEASE_S), "--stats"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.port = json.loads(await self.child.stdout.readline())["port"]

    def signal(self, number):
        self.child.send_signal(number)

    async def die(self):
        self.signal(signal.SIGKILL)
        await self.child.wait()

    async def leave(self):
        """Go in good order; return the last statistics."""
        self.signal(signal.SIGTERM)
        out, err = await self.child.communicate()
        assert (0, b"") == (self.child.returncode, err), err
        return json.loads(out.splitlines()[-1])


class Processes:
    """The cluster."""

    def __init__(self, folder, count):
        self.all = [Process(folder, number) for number in range(count)]
        self._folder = folder

    def directory(self):
        return SQLiteDirectory(str(self._folder / "meet"))

    async def home(self):
        """Wait until there is a home whose process lives; return its process."""
        directory = self.directory()
        try:
            while True:
                lease = directory.look()
                for process in self.all:
                    if lease is not None and lease.node.startswith(f"{process.child.pid}-"):
                        return process
                await asyncio.sleep(0.02)
        finally:
            directory.close()

    def addresses(self, first):
        """All addresses, beginning with one of them."""
        turned = self.all[first:] + self.all[:first]
        return "udpim://" + ",".join(process.address for process in turned)


@asynccontextmanager
async def cluster(folder, count=2):
    processes = Processes(folder, count)
    try:
        for process in processes.all:
            await process.start()
        yield processes
    finally:
        for process in processes.all:
            if process.child is not None and process.child.returncode is None:
                process.signal(signal.SIGCONT)
                await process.die()


def login(processes, user, first, folder):
    return udpim.connect(
        processes.addresses(first),
        user=user,
        store=str(folder / f"{user}.db"),
        security="plain",
        reconnect_s_max=0.2,
        close_timeout=2.0,
    )


async def kill(processes, process):
    """It dies, and comes back on its port."""
    await process.die()
    await asyncio.sleep(0.3)
    await process.start()


async def freeze(processes, process):
    """It sleeps through the end of its lease, and wakes up believing that it is the home."""
    process.signal(signal.SIGSTOP)
    await asyncio.sleep(2.5 * LEASE_S)
    process.signal(signal.SIGCONT)


async def leave(processes, process):
    """It goes in good order, and comes back."""
    await process.leave()
    await process.start()


async def told(process, event):
    """Wait until a process says this of its role; return the epoch."""
    while True:
        line = json.loads(await process.child.stdout.readline())
        if (line["event"], line.get("role")) == ("role", event):
            return line["epoch"]


@pytest.mark.parametrize("fault", [kill, freeze, leave])
@pytest.mark.parametrize("role", ["home", "gate"])
@live
async def test_whichever_process_fails_each_message_comes_exactly_once(tmp_path, role, fault):
    async with cluster(tmp_path) as processes:
        home = await processes.home()
        gate = next(process for process in processes.all if process is not home)
        victim = home if role == "home" else gate
        async with (
            login(processes, "bob", gate.number, tmp_path) as bob,
            login(processes, "alice", home.number, tmp_path) as alice,
        ):
            sent = payloads(MESSAGES)
            coming = asyncio.create_task(take(bob, MESSAGES))
            receipts = [await alice.send("bob", payload) for payload in sent[: MESSAGES // 2]]
            failing = asyncio.create_task(fault(processes, victim))
            for payload in sent[MESSAGES // 2 :]:
                receipts.append(await alice.send("bob", payload))
                await asyncio.sleep(0.01)
            messages = await coming
            await failing
            assert sent == [message.payload for message in messages]
            for receipt in receipts:
                await receipt
            assert {MessageState.DELIVERED} == {receipt.state for receipt in receipts}


@live
async def test_a_home_that_slept_through_its_lease_knows_that_it_is_none(tmp_path):
    async with cluster(tmp_path) as processes:
        home = await processes.home()
        gate = next(process for process in processes.all if process is not home)
        first = await told(home, "home")
        home.signal(signal.SIGSTOP)
        second = await told(gate, "home")
        assert first < second
        home.signal(signal.SIGCONT)
        assert first == await told(home, "gate")
        ended = await home.leave()
    assert ("gate", 1) == (ended["cluster"]["role"], ended["cluster"]["terms"])


@live
async def test_what_one_home_stored_the_next_one_delivers(tmp_path):
    async with cluster(tmp_path) as processes:
        home = await processes.home()
        async with login(processes, "alice", home.number, tmp_path) as alice:
            async with login(processes, "bob", home.number, tmp_path):
                pass
            sent = payloads(20)
            receipts = [await alice.send("bob", payload) for payload in sent]
            for receipt in receipts:
                await receipt.stored()
            await kill(processes, home)
            survivor = await processes.home()
            async with login(processes, "bob", survivor.number, tmp_path) as bob:
                assert sent == [message.payload for message in await take(bob, len(sent))]
                for receipt in receipts:
                    await receipt


@live
async def test_a_receipt_that_waits_for_its_sender_outlives_the_home(tmp_path):
    async with cluster(tmp_path) as processes:
        home = await processes.home()
        async with login(processes, "bob", home.number, tmp_path):
            pass
        async with login(processes, "alice", home.number, tmp_path) as alice:
            receipt = await alice.send("bob", b"hi")
            await receipt.stored()
            msgid = receipt.msgid
        async with login(processes, "bob", home.number, tmp_path) as bob:
            await take(bob, 1)
        await kill(processes, home)
        survivor = await processes.home()
        async with login(processes, "alice", survivor.number, tmp_path) as alice:
            receipt = alice.receipt(msgid)
            await receipt
            assert MessageState.DELIVERED == receipt.state


@live
async def test_a_cancel_is_not_void_before_the_recipient_says_so_whichever_home_it_meets(tmp_path):
    async with cluster(tmp_path) as processes:
        home = await processes.home()
        async with login(processes, "bob", home.number, tmp_path):
            pass
        async with login(processes, "alice", home.number, tmp_path) as alice:
            receipt = await alice.send("bob", b"not to be read")
            await receipt.stored()
            await kill(processes, home)
            await processes.home()
            receipt.cancel()
            later = await alice.send("bob", b"after it")
            await later.stored()
            assert MessageState.VOID != receipt.state
            async with login(processes, "bob", home.number, tmp_path) as bob:
                assert [b"after it"] == [message.payload for message in await take(bob, 1)]
                await later
                with pytest.raises(udpim.DeliveryVoid):
                    await receipt


@live
async def test_without_its_directory_the_next_home_takes_an_epoch_above_the_stores(tmp_path):
    async with cluster(tmp_path, 1) as processes:
        (only,) = processes.all
        for _ in range(2):
            await only.leave()
            await only.start()
        before = await told(only, "home")
        await only.die()
        (tmp_path / "meet" / "directory.db").unlink()
        await only.start()
        assert before < await told(only, "home")


def test_a_cluster_in_memory_is_refused(tmp_path):
    done = udpim_command("serve", *PLAIN, "--memory", "--open", "--cluster", str(tmp_path))
    assert 1 == done.returncode
    assert one_line(done.stderr)
    assert "share a store: name its file" in done.stderr


def test_people_are_told_the_role(tmp_path):
    args = ("--store", str(tmp_path / "shared.db"), "--cluster", str(tmp_path / "meet"))
    with started("serve", *PLAIN, *args, "--open", "--port", "0") as process:
        assert "home of the cluster, epoch 1\n" == process.stderr.readline()
    assert (0, ("listening on", "going down\n")) == (
        process.returncode,
        (process.rest[0][:12], process.rest[1]),
    )
