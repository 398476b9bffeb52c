# SPDX-License-Identifier: GPL-2.0-only
"""The injector drops what was ordered, and its books are exact."""

import json
import random
import signal
import sys

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from udpim_tools.injector import Injector, Rule, main, udp_payload
from udpim_tools.lab import Lab
from udpim_tools.layer import UDPIMHello, UDPIMShort
from udpim_tools.layer_frames import UDPIMMessage, UDPIMPing
from udpim_tools.layer_im import AckN, MsgA, MsgN

PING = UDPIMShort(frames=[UDPIMPing()])
MSG_A = UDPIMShort(frames=[UDPIMMessage(body=MsgA())])
TWO = UDPIMShort(frames=[UDPIMMessage(body=MsgA()), UDPIMMessage(body=AckN())])


def frame(datagram, *, port=9000, **ip):
    return bytes(
        Ether(dst="02::1", src="02::2")
        / IP(src="10.0.0.1", dst="10.0.0.2", **ip)
        / UDP(sport=5, dport=port)
        / Raw(bytes(datagram))
    )


def decisions(injector, datagrams, direction="21"):
    return [injector.passes(frame(datagram), direction) for datagram in datagrams]


# Rules.


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("msg:A", Rule("msg:A", 1, None)),
        ("msg:A#2", Rule("msg:A", 2, None)),
        ("ack:R@12", Rule("ack:R", 1, "12")),
        ("login-ok#13@21", Rule("login-ok", 13, "21")),
        ("PATH_CHALLENGE", Rule("PATH_CHALLENGE", 1, None)),
    ],
)
def test_rule_is_read_and_printed(text, rule):
    assert rule == Rule.parse(text) == Rule.parse(str(rule))


@pytest.mark.parametrize("text", ["", "#1", "msg:A#0", "msg:A#x", "msg:A@13", "msg:A#1#2", "a b"])
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(ValueError, match="is not TYPE"):
        Rule.parse(text)


def test_the_second_of_a_type_is_dropped_and_no_other():
    injector = Injector(rules=[Rule.parse("msg:A#2")])
    assert [True, True, False, True] == decisions(injector, [MSG_A, PING, TWO, MSG_A])
    assert [{"rule": "msg:A#2", "seen": 3, "dropped": 1}] == injector.report()["rules"]


def test_a_rule_with_a_direction_counts_that_direction_only():
    injector = Injector(rules=[Rule.parse("msg:A#2@12")])
    assert [True, True, True] == decisions(injector, [MSG_A] * 3, "21")
    assert [True, False, True] == decisions(injector, [MSG_A] * 3, "12")


def test_a_datagram_that_two_rules_order_is_dropped_once_and_counted_by_both():
    injector = Injector(rules=[Rule.parse("msg:A"), Rule.parse("ack:N")])
    assert [False, True] == decisions(injector, [TWO, TWO])
    report = injector.report()
    assert [1, 1] == [rule["dropped"] for rule in report["rules"]]
    assert 1 == report["directions"]["21"]["dropped"]


# Loss and the books.


def test_loss_follows_its_seed_and_each_direction_has_its_own(seed):
    injector = Injector(loss=0.3, seed=seed)
    passed = {d: decisions(injector, [PING] * 300, d) for d in ("12", "21")}
    for direction, decided in passed.items():
        draws = random.Random(f"{seed}:{direction}")
        assert [draws.random() >= 0.3 for _ in range(300)] == decided
    assert passed["12"] != passed["21"]


def test_a_rule_does_not_shift_the_losses(seed):
    plain = decisions(Injector(loss=0.3, seed=seed), [PING, MSG_A] * 50)
    ruled = decisions(
        Injector(loss=0.3, seed=seed, rules=[Rule.parse("msg:A#7")]), [PING, MSG_A] * 50
    )
    assert ruled == [*plain[:13], False, *plain[14:]]


def test_books_name_every_type_once_per_datagram():
    injector = Injector(rules=[Rule.parse("ack:N")])
    twice = UDPIMShort(frames=[UDPIMMessage(body=MsgN()), UDPIMMessage(body=MsgN())])
    decisions(injector, [twice, TWO, UDPIMHello(), b"\x41garbage"])
    tally = injector.report()["directions"]["21"]
    assert (3, 1) == (tally["forwarded"], tally["dropped"])
    assert {"HELLO": 1, "msg:N": 1, "other": 1} == tally["forwarded_types"]
    assert {"PADDING", "ack:N", "msg:A"} >= set(tally["dropped_types"]) >= {"ack:N", "msg:A"}
    assert 4 == injector.datagrams


@pytest.mark.parametrize(
    "other",
    [
        bytes(Ether() / ARP()),
        bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=9000)),
        frame(PING, port=9001),
        frame(PING, frag=3),
        frame(PING, flags="MF"),
        frame(PING)[:30],
        frame(PING)[:38],
        b"",
    ],
)
def test_other_frames_pass_whatever_the_loss(other):
    injector = Injector(loss=1.0)
    assert injector.passes(other, "12")
    assert (1, 0) == (injector.other, injector.datagrams)


def test_payload_is_found_behind_options_and_before_padding():
    plain = frame(PING)
    assert bytes(PING) == udp_payload(plain + b"\0\0", 9000)
    assert bytes(PING) == udp_payload(frame(PING, options=b"\x01" * 4), 9000)
    assert bytes(PING) == udp_payload(plain, 5)


# The command.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a"], "INTERFACE"),
        (["a", "b", "--loss", "2"], "--loss"),
        (["a", "b", "--drop", "?"], "--drop"),
        (["a", "b", "--seconds", "soon"], "--seconds"),
    ],
)
def test_wrong_usage_is_explained(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert 2 == ended.value.code
    assert words in capsys.readouterr().err


def test_an_interface_that_is_not_there_is_one_line(capsys):
    assert 1 == main(["udpim-none", "udpim-none"])
    captured = capsys.readouterr()
    assert ("", 1) == (captured.out, captured.err.count("\n"))
    assert captured.err.startswith("injector: ")


def test_signal_handlers_are_given_back(capsys):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    main(["udpim-none", "udpim-none"])
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


# On real frames.

SINK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.77.0.2", 9000))
print("up", flush=True)
heard = 0
while (datagram := s.recv(2000)) != b"end":
    heard += 1
print(heard)
"""
SOURCE = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[2])):
    s.sendto(bytes.fromhex(sys.argv[1]), ("10.77.0.2", 9000))
"""


@pytest.fixture
def lab(require_root_netns):
    with Lab() as made:
        yield made


def bridge(lab, *options):
    command = [sys.executable, "-m", "udpim_tools.injector", *lab.INTERFACES, *options]
    process = lab.bridge.start(command)
    assert process.stderr.readline() == "ready\n"
    return process


def report_of(process):
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return json.loads(out)


@pytest.mark.netns
def test_what_arrives_is_what_was_forwarded(lab, seed):
    bridging = bridge(lab, "--loss", "0.4", "--seed", str(seed), "--datagrams", "300")
    sink = lab.server.start([sys.executable, "-c", SINK])
    assert sink.stdout.readline() == "up\n"
    source = lab.clients.start([sys.executable, "-c", SOURCE, bytes(MSG_A).hex(), "300"])
    assert source.wait(30) == 0
    report = report_of(bridging)
    # Behind the injector nothing is lost or late: what it sent is in the socket by now.
    end = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
    end += "s.bind(('10.77.0.2', 0)); s.sendto(b'end', ('10.77.0.2', 9000))"
    assert lab.server.start([sys.executable, "-c", end]).wait(30) == 0
    heard = int(sink.communicate(timeout=30)[0])
    tally = report["directions"]["12"]
    assert (300, heard) == (tally["forwarded"] + tally["dropped"], tally["forwarded"])
    assert 0 < tally["dropped"] == tally["dropped_types"]["msg:A"]
    assert (0, 0, "datagrams") == (report["missed"], report["unsent"], report["stopped_by"])


@pytest.mark.netns
def test_it_ends_by_itself_when_its_time_is_up(lab):
    report = report_of(bridge(lab, "--seconds", "0.3"))
    assert ("seconds", 0) == (report["stopped_by"], report["directions"]["12"]["forwarded"])


@pytest.mark.netns
def test_it_ends_with_a_report_when_it_is_asked(lab):
    process = bridge(lab)
    process.terminate()
    assert "SIGTERM" == report_of(process)["stopped_by"]
