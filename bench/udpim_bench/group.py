"""``udpim_bench group``: what one message to a large group costs in receipts, copies and memory.

A world in virtual time (`udpim.testing`), with the nodes of production; everything is counted at
the network or in the server's objects, nothing is timed. PROTOCOL §5.10:

* receipts: with everybody online, at most five packets bring them to the sender in the first 6 s;
* copies: on a bad network, and with some members whom nothing reaches for a while, what is sent
  again end to end goes only to those whose receipt has not reached the server. What the hop repeats
  since its own ack was lost is counted beside it;
* memory: what the server holds for messages that nobody has receipted.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from udpim.model import GroupAction, GroupCode, MessageState
from udpim.testing import World
from udpim.testing.crossings import Crossing, Observer
from udpim.testing.facts import SERVER
from udpim.testing.faults import Profile
from udpim.testing.nodes import Sent, VirtualClient
from udpim.wire.im_packets import AckR, MsgN, Tally
from udpim_bench.measure import WrongCounts

ROOM = "#room"
FIRST_S = 6.0
"""How long a sender waits for most of the receipts …"""
RECEIPTS_MAX = 5
"""… and packets that may bring them in that time."""
DEAF_RATIO = 50
"""One of so many members is reached by no message for `DEAF_S`."""
DEAF_S = 20.0
JITTER_S = 0.005
"""Without any, the answers of a whole group arrive in one instant, more than a socket holds."""
NEEDLESS_RATIO = 100
"""One of so many members may get a copy too many: what the sender repeats leaves out whom it has
been told of, and a receipt may be waiting at the server for its tally."""
IN_FLIGHT = 20
PAYLOAD = bytes(128)
ANSWER_S_MAX = 120.0
BATCH = 100
"""Clients that log in at one time."""
_NOT_DATA = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


class Watch:
    """Counts, at the network, what one message of the sender causes."""

    def __init__(self, inner: Observer, sender: str) -> None:
        """Pass everything on to ``inner``."""
        self._inner = inner
        self._sender = sender
        self._seq = 0
        self._tallies: set[tuple[bytes, int]] = set()
        self.receipt_datagrams = 0
        self._frames: set[tuple[bytes, int]] = set()
        self.copies: Counter[str] = Counter()
        """Pushes of the message, by member; each in a frame of its own."""
        self.repeats = 0
        """Datagrams that carried such a frame again."""
        self.receipted: set[str] = set()
        """Members whose receipt has reached the server."""
        self.needless: Counter[str] = Counter()
        """Copies that left the server after that."""

    def begin(self, seq: int) -> None:
        """Count from now on, for this message."""
        self._seq = seq
        self._tallies.clear()
        self._frames.clear()
        self.receipt_datagrams = self.repeats = 0
        for counted in (self.copies, self.receipted, self.needless):
            counted.clear()

    @property
    def receipt_packets(self) -> int:
        """Tallies that left for the sender, each counted once."""
        return len(self._tallies)

    def on_datagram_sent(self, crossing: Crossing) -> None:
        """See `Observer`."""
        self._inner.on_datagram_sent(crossing)
        to = crossing.destination[0]
        if crossing.source[0] != SERVER:
            return
        content = crossing.content
        told = [hop_seq for hop_seq, im_packet in content.packets if isinstance(im_packet, Tally)]
        if told and to == self._sender:
            self.receipt_datagrams += 1
            self._tallies.update((content.cid, hop_seq) for hop_seq in told)
        for hop_seq, im_packet in content.packets:
            if isinstance(im_packet, MsgN):
                section = im_packet.section
                if section.first <= self._seq <= section.last:
                    self._pushed(to, (content.cid, hop_seq))

    def _pushed(self, to: str, frame: tuple[bytes, int]) -> None:
        if frame in self._frames:
            self.repeats += 1
            return
        self._frames.add(frame)
        self.copies[to] += 1
        self.needless[to] += to in self.receipted

    def on_datagram_arrived(self, crossing: Crossing) -> None:
        """See `Observer`."""
        self._inner.on_datagram_arrived(crossing)
        if crossing.destination[0] == SERVER:
            for _, im_packet in crossing.content.packets:
                if isinstance(im_packet, AckR) and any(
                    first <= self._seq <= last for first, last in im_packet.delivered
                ):
                    self.receipted.add(crossing.source[0])

    def on_datagram_damaged(self, crossing: Crossing, data: bytes) -> None:
        """See `Observer`."""
        self._inner.on_datagram_damaged(crossing, data)


class Room:
    """A group of so many members, all online, and a sender who knows who they are."""

    def __init__(self, members: int, seed: int, progress: Callable[[str], None]) -> None:
        """Log everybody in and have them join.

        Raises:
            WrongCounts: If somebody could not.
        """
        self.world = World(seed)
        self.faults(0.0)
        self.world.server()
        self.members: list[VirtualClient] = []
        self.alice = self.world.client("alice")
        self._online()
        self._ask(self.alice, GroupAction.CREATE)
        while len(self.members) < members:
            names = range(len(self.members), min(members, len(self.members) + BATCH))
            batch = [self.world.client(f"m{n}") for n in names]
            self._online()
            self._join(batch)
            self.members += batch
            progress(f"{len(self.members)} members")
        answers = [answer for each in self.members for answer in each.group_answers]
        if any(answer.code != GroupCode.DONE for answer in answers):
            raise WrongCounts("somebody could not join")
        self.watch = Watch(self.world.history, self.alice.host)
        self.world.network.observer = self.watch
        self.settle(self.alice.send(ROOM, b"hello all"))
        self.world.run(DEAF_S)  # until acks have faded away

    def _join(self, batch: list[VirtualClient]) -> None:
        for client in batch:
            client.ask_group(GroupAction.JOIN, ROOM)
        self._until(lambda: all(each.group_answers for each in batch))

    def _online(self) -> None:
        self._until(lambda: all(each.online for each in self.world.clients.values()))

    def _until(self, predicate: Callable[[], bool]) -> None:
        end = self.world.clock.now + ANSWER_S_MAX
        while not predicate():
            if self.world.clock.now >= end:
                raise WrongCounts(f"not within {ANSWER_S_MAX:g} s")
            self.world.run(0.05)

    def _ask(self, client: VirtualClient, action: GroupAction) -> None:
        client.ask_group(action, ROOM)
        self._until(lambda: bool(client.group_answers))

    def send(self) -> Sent:
        """Send one message and count what it causes."""
        sent = self.alice.send(ROOM, PAYLOAD)
        self.watch.begin(sent.first)
        return sent

    def settle(self, sent: Sent) -> None:
        """Wait until everybody has it, and the sender knows.

        Raises:
            WrongCounts: If that takes too long.
        """
        done = {MessageState.DELIVERED.name: sent.last - sent.first + 1}
        self._until(lambda: self.alice.states(sent) == done)

    def faults(self, loss: float) -> None:
        """Lose so many datagrams, everywhere."""
        self.world.network.default = Profile(loss_ratio=loss, jitter_s=JITTER_S)


def run(members: int, loss: float, seed: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and judge by the bounds.

    Raises:
        WrongCounts: If messages did not arrive.
    """
    room = Room(members, seed, progress)
    report: dict[str, Any] = {"members": members, "loss": loss, "seed": seed}
    progress("receipts")
    report["receipts"] = _receipts(room)
    progress("copies")
    report["copies"] = _copies(room, loss)
    progress("memory")
    report["memory"] = _memory(room)
    report["problems"] = problems(report)
    return report


def _receipts(room: Room) -> dict[str, Any]:
    sent = room.send()
    room.world.run(FIRST_S)
    counted = {
        "first_s": FIRST_S,
        "packets": room.watch.receipt_packets,
        "datagrams": room.watch.receipt_datagrams,
        "packets_max": RECEIPTS_MAX,
    }
    room.settle(sent)
    return counted


def _copies(room: Room, loss: float) -> dict[str, Any]:
    deaf = room.members[::DEAF_RATIO]
    room.faults(loss)
    for client in deaf:
        room.world.network.intercept("msg:N", destination=client.host, copies=None)
    sent = room.send()
    room.world.run(FIRST_S)
    watch = room.watch
    packets, datagrams = watch.receipt_packets, watch.receipt_datagrams
    room.world.run(DEAF_S - FIRST_S)
    room.world.network.heal()
    room.faults(loss)
    room.settle(sent)
    again = {host: copies - 1 for host, copies in watch.copies.items() if copies > 1}
    room.faults(0.0)
    return {
        "members_reached": len(watch.copies),
        "members_deaf": len(deaf),
        "members_again": len(again),
        "copies_again": sum(again.values()),
        "copies_needless": watch.needless.total(),
        "hop_repeats": watch.repeats,
        "receipt_packets": packets,
        "receipt_datagrams": datagrams,
    }


def _memory(room: Room) -> dict[str, Any]:
    """Keep messages from everybody, and see what the server has for them."""
    node = room.world.server().node
    for client in room.members:
        room.world.network.intercept("msg:N", destination=client.host, copies=None)
    room.world.run(FIRST_S)
    before = size_of(node)
    sent = room.alice.send(ROOM, [PAYLOAD] * IN_FLIGHT)
    room.world.run(1.0)
    grown = size_of(node) - before
    room.world.network.heal()
    room.faults(0.0)
    room.settle(sent)
    return {
        "messages_in_flight": IN_FLIGHT,
        "payload_bytes": len(PAYLOAD),
        "server_bytes_per_message": grown // IN_FLIGHT,
        "server_bytes_per_delivery": grown // IN_FLIGHT // len(room.members),
    }


def size_of(root: object) -> int:
    """Return the bytes of everything that an object holds, code left out."""
    seen: set[int] = set()
    waiting = [root]
    size_bytes = 0
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, _NOT_DATA):
            continue
        seen.add(id(each))
        size_bytes += sys.getsizeof(each)
        waiting += gc.get_referents(each)
    return size_bytes


def problems(report: dict[str, Any]) -> list[str]:
    """Name the bounds that do not hold."""
    found = []
    for what, packets in (
        ("", report["receipts"]["packets"]),
        (f" at {report['loss']:.0%} loss", report["copies"]["receipt_packets"]),
    ):
        if packets > RECEIPTS_MAX:
            found.append(f"{packets} receipt packets in {FIRST_S:g} s{what}, {RECEIPTS_MAX} may be")
    if not report["receipts"]["packets"]:
        found.append("no receipt packet was seen")
    needless = report["copies"]["copies_needless"]
    if needless > report["members"] // NEEDLESS_RATIO:
        found.append(f"{needless} copies for members whose receipt the server had")
    if report["copies"]["members_reached"] != report["members"]:
        found.append(f"copies went to {report['copies']['members_reached']} members")
    return found


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    receipts, copies, memory = report["receipts"], report["copies"], report["memory"]
    return [
        f"one message to a group of {report['members']}, all online",
        f"receipts in the first {receipts['first_s']:g} s: {receipts['packets']} packets in"
        f" {receipts['datagrams']} datagrams, at most {receipts['packets_max']} packets may be",
        f"at {report['loss']:.0%} loss, with {copies['members_deaf']} members that nothing reaches"
        f" for {DEAF_S:g} s: {copies['receipt_packets']} packets in"
        f" {copies['receipt_datagrams']} datagrams",
        f"copies sent again there: {copies['copies_again']}, to {copies['members_again']} members;"
        f" {copies['copies_needless']} of them after the receipt had reached the server;"
        f" {copies['hop_repeats']} frames repeated by the hop",
        f"server memory: {memory['server_bytes_per_message']} bytes per message in flight,"
        f" {memory['server_bytes_per_delivery']} for each member"
        f" (payload {memory['payload_bytes']})",
    ]
