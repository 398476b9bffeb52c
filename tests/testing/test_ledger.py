"""Whoever is sent more than came from him, before he has proved his address, is noticed."""

import pytest

from udpim.testing.clock import VirtualClock
from udpim.testing.crossings import Crossing
from udpim.testing.decoder.datagrams import LongPacket
from udpim.testing.facts import SERVER
from udpim.testing.history import History
from udpim.testing.ledger import no_amplification
from udpim.testing.wiretap import Content
from udpim.testing.world import World

SERVER_ADDRESS, HOME, ELSEWHERE = (SERVER, 9000), ("alice/phone", 1), ("elsewhere", 1)
CID = b"c" * 8


class Wire:
    """A history of datagrams to and from the server, made by hand."""

    def __init__(self):
        self.history = History(VirtualClock())

    def pass_(self, source, destination, size, labels, **facts):
        arrives, fields = facts.pop("arrives", True), {"replayed", "seen_from", "sent_to"}
        damaged = facts.pop("damaged", False)
        crossing = Crossing(
            number=1 + len(self.history.crossings),
            sent_at=0.0,
            source=source,
            destination=destination,
            data=bytes(size),
            content=Content(
                labels=labels,
                **{"cid": b""} | {n: v for n, v in facts.items() if n not in fields},
            ),
            **{name: value for name, value in facts.items() if name in fields},
        )
        self.history.on_datagram_sent(crossing)
        if damaged:
            self.history.on_datagram_damaged(crossing, crossing.data)
        elif arrives:
            self.history.on_datagram_arrived(crossing)

    def up(self, size, *labels, source=HOME, **facts):
        self.pass_(source, SERVER_ADDRESS, size, labels, **facts)

    def down(self, size, *labels, destination=HOME, **facts):
        self.pass_(SERVER_ADDRESS, destination, size, labels, **facts)

    def welcome(self, size=300):
        self.up(300, "HELLO")
        self.down(size, "WELCOME", long=LongPacket("WELCOME", False, b"", CID))

    @property
    def stories(self):
        return list(no_amplification(self.history))


@pytest.fixture
def wire():
    return Wire()


def test_as_much_as_came_may_go_back(wire):
    wire.welcome()
    assert [] == wire.stories


def test_more_than_came_is_noticed_once_for_each_address(wire):
    wire.up(300, "HELLO")
    wire.down(200, "RETRY")
    wire.down(101, "RETRY")
    wire.down(1000, "RETRY")
    wire.down(1, "RESET", destination=ELSEWHERE)
    one, other = wire.stories
    assert "alice/phone" in one
    assert "1 bytes more" in one
    assert "elsewhere" in other


def test_a_packet_of_the_connection_proves_the_address(wire):
    wire.welcome()
    wire.up(32, "login", cid=CID)
    wire.down(5000, "login-ok")
    assert [] == wire.stories


@pytest.mark.parametrize(
    "facts",
    [
        {"cid": b"another!"},
        {"cid": CID, "arrives": False},
        {"cid": CID, "damaged": True},
        {"cid": CID, "source": ELSEWHERE},
    ],
    ids=[
        "another connection",
        "it was lost",
        "it was damaged",
        "it came from elsewhere",
    ],
)
def test_what_proves_nothing_lets_nothing_through(wire, facts):
    home = facts.get("source", HOME)
    wire.welcome()
    wire.up(32, "login", **facts)
    wire.down(5000, "login-ok", destination=home)
    assert 1 == len(wire.stories)


def test_what_was_lost_on_the_way_out_counts_as_sent(wire):
    wire.up(300, "HELLO")
    wire.down(300, "RETRY", arrives=False)
    wire.down(1, "RETRY")
    assert 1 == len(wire.stories)


def test_an_answer_to_a_challenge_proves_a_new_address(wire):
    wire.welcome()
    wire.up(100, "msg:R", cid=CID, source=ELSEWHERE)
    wire.down(100, "PATH_CHALLENGE", destination=ELSEWHERE)
    wire.up(100, "PATH_RESPONSE", cid=CID, source=ELSEWHERE)
    wire.down(5000, "msg:N", destination=ELSEWHERE)
    assert [] == wire.stories


def test_behind_a_nat_the_public_address_counts(wire):
    public = ("nat of alice/phone", 1)
    wire.up(300, "HELLO", seen_from=public)
    wire.down(300, "WELCOME", sent_to=public)
    assert [] == wire.stories
    wire.down(1, "WELCOME", sent_to=public)
    (story,) = wire.stories
    assert "nat of alice/phone" in story


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_real_exchange_holds_until_the_server_sends_to_a_stranger(encrypted):
    def told():
        world = World("ledger", encrypted=encrypted)
        world.server()
        alice, _ = world.client("alice"), world.client("bob")
        world.online()
        alice.send("bob", b"one")
        world.settle()
        return world

    world = told()
    assert [] == list(no_amplification(world.history))
    hello = next(c for c in world.network.trace if "HELLO" in c.content.labels)
    world.network.replay(hello, source=ELSEWHERE)
    world.run(1.0)
    assert [] == list(no_amplification(world.history))
    world.network.send(SERVER_ADDRESS, ELSEWHERE, bytes(1201))
    assert 1 == len(list(no_amplification(world.history)))
