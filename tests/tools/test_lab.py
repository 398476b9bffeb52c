"""The lab, and in it the first proof of the promise on real packets, with scapy in the path."""

import contextlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import lab_peer
from udpim_tools import lab as lab_module
from udpim_tools.lab import Lab, checksum_offload

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("require_root_netns")]

PEER = str(Path(lab_peer.__file__))
ONE_OF_EACH = ["msg:R", "msg:A", "msg:N", "ack:R", "ack:A", "ack:N"]
"""The six, in the order of the exchange."""
WAIT_S = lab_peer.LIMIT_S + 10.0


@pytest.fixture
def lab():
    with Lab() as made:
        yield made


def namespaces():
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return {line.split()[0] for line in listed.stdout.splitlines()}


def inside(namespace, code):
    """Run a line of Python inside a namespace; return what it printed."""
    process = namespace.start([sys.executable, "-c", code])
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    return out.strip()


# The lab itself.


def test_lab_leaves_nothing_behind():
    before = namespaces()
    with Lab() as lab:
        names = {lab.clients.name, lab.bridge.name, lab.server.name}
        assert namespaces() == before | names
        sleeper = lab.server.start(["sleep", "1000"])
    assert namespaces() == before
    assert sleeper.returncode is not None


def test_lab_leaves_nothing_behind_after_a_failure(monkeypatch):
    before = namespaces()
    monkeypatch.setattr(lab_module, "GRACE_S", 0.3)
    stubborn = "trap '' TERM; echo up; sleep 1000 & wait"

    def fail():
        with Lab() as lab:
            assert lab.clients.start(["sh", "-c", stubborn]).stdout.readline() == "up\n"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert namespaces() == before


def test_lab_that_cannot_be_made_leaves_nothing_behind(monkeypatch):
    before = namespaces()
    monkeypatch.setattr(Lab, "INTERFACES", ("to-clients", "a-name-that-is-too-long"))
    with pytest.raises(RuntimeError, match="a-name-that-is-too-long"), Lab():
        pytest.fail("it was made")
    assert namespaces() == before


def test_what_a_dead_process_left_is_swept_away_and_nothing_else():
    with contextlib.closing(lab_module.Namespace(f"udpimlab-{os.getpid()}-x-mine")) as mine:
        ended = subprocess.Popen(["true"])
        ended.wait()
        left = lab_module.Namespace(f"udpimlab-{ended.pid}-0-bridge")
        lab_module.sweep()
        assert mine.name in namespaces()
        assert left.name not in namespaces()


def test_nothing_passes_without_a_bridge_program(lab):
    code = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.2)\n"
        "s.sendto(b'x', ('10.77.0.2', 9000))\n"
        "try: print(s.recv(9))\n"
        "except OSError: print('nothing')"
    )
    assert inside(lab.clients, code) == "nothing"


def test_outer_ends_write_their_own_checksums(lab):
    code = "from udpim_tools.lab import checksum_offload; print(checksum_offload('{}'))"
    assert "False" == inside(lab.clients, code.format("udpim0"))
    assert "False" == inside(lab.server, code.format("udpim0"))
    assert "True" == inside(lab.bridge, code.format("to-clients")), "what veth does by itself"


def test_offload_of_an_interface_that_is_not_there_is_an_error():
    with pytest.raises(OSError, match="No such device"):
        checksum_offload("udpim-none")


# The exchange on real packets.


def exchange(lab, folder, *, count, pace, injector):
    """Run a server and two clients through an injector: (what the clients say, its report)."""
    command = ["-m", "udpim_tools.injector", *lab.INTERFACES, "--seconds", "90", *injector]
    bridging = lab.bridge.start([sys.executable, *command])
    assert bridging.stderr.readline().strip() == "ready", bridging.communicate()
    serving = lab.server.start([sys.executable, PEER, "server", folder, lab.SERVER_ADDRESS])
    assert json.loads(serving.stdout.readline()), serving.communicate()
    clients = lab.clients.start(
        [sys.executable, PEER, "exchange", folder, lab.SERVER_ADDRESS, str(count), pace]
    )
    out, errors = clients.communicate(timeout=WAIT_S)
    assert clients.returncode == 0, errors
    bridging.terminate()
    report = json.loads(bridging.communicate(timeout=10)[0])
    print(json.dumps(report))
    return json.loads(out), report


def assert_zeros(told, count):
    """Nothing lost, doubled or misordered, and every receipt true."""
    heard = {
        to: [[sender, f"{sender} {number}"] for number in range(count)]
        for sender, to in (("alice", "bob"), ("bob", "alice"))
    }
    assert heard == told["heard"]
    assert {"alice": ["DELIVERED"] * count, "bob": ["DELIVERED"] * count} == told["states"]


def assert_exact(report):
    """The injector saw everything, and everything it forwarded has left."""
    assert (0, 0, "SIGTERM") == (report["missed"], report["unsent"], report["stopped_by"])


@pytest.mark.timeout(90)
@pytest.mark.parametrize("pace", ["burst", "stepwise"])
def test_a_fifth_of_all_datagrams_lost_and_no_message(lab, tmp_path, seed, pace):
    count = {"burst": 400, "stepwise": 25}[pace]
    options = ["--loss", "0.2", "--seed", str(seed)]
    told, report = exchange(lab, str(tmp_path), count=count, pace=pace, injector=options)
    assert_zeros(told, count)
    assert_exact(report)
    for direction, tally in report["directions"].items():
        draws = random.Random(f"{seed}:{direction}")
        seen = tally["forwarded"] + tally["dropped"]
        assert sum(draws.random() < 0.2 for _ in range(seen)) == tally["dropped"] > 0


@pytest.mark.timeout(90)
@pytest.mark.parametrize("rule", [*(f"{label}#1" for label in ONE_OF_EACH), "msg:A#2"])
def test_each_of_the_six_dropped_in_turn(lab, tmp_path, rule):
    count = 5
    told, report = exchange(
        lab, str(tmp_path), count=count, pace="stepwise", injector=["--drop", rule]
    )
    assert_zeros(told, count)
    assert_exact(report)
    label, _, nth = rule.partition("#")
    (counted,) = report["rules"]
    assert (rule, 1) == (counted["rule"], counted["dropped"])
    assert counted["seen"] > int(nth), "what the dropped one said was said again"
    tallies = report["directions"].values()
    assert [1] == [tally["dropped"] for tally in tallies if tally["dropped"]]
    assert 1 == sum(tally["dropped_types"].get(label, 0) for tally in tallies)


@pytest.mark.timeout(90)
def test_all_six_dropped_in_one_exchange(lab, tmp_path):
    rules = [f"{label}#{nth}" for label in ONE_OF_EACH for nth in (1, 3)]
    options = [word for rule in rules for word in ("--drop", rule)]
    told, report = exchange(lab, str(tmp_path), count=8, pace="stepwise", injector=options)
    assert_zeros(told, 8)
    assert_exact(report)
    assert [[rule, 1] for rule in rules] == [
        [counted["rule"], counted["dropped"]] for counted in report["rules"]
    ]
