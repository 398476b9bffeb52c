# SPDX-License-Identifier: GPL-2.0-only
"""Bridges two interfaces with scapy and drops chosen udpim datagrams on the way, counting exactly.

Stands between the clients (first interface) and the server (second) of a lab
(:mod:`udpim_tools.lab`). A *rule* drops the n-th datagram that contains an IM packet, frame or
long packet of a type; *loss* drops any datagram with a probability. The whole datagram goes,
whatever else is in it. All other frames (ARP, other ports) pass and are counted as ``other``.

    python -m udpim_tools.injector to-clients to-server --loss 0.2 --seed 7
    python -m udpim_tools.injector to-clients to-server --drop 'msg:A#2' --drop 'ack:R#1@12'

It ends after ``--seconds``, after ``--datagrams``, or on SIGTERM or SIGINT, and prints its report
as one line of JSON. Frames pass unchanged and are not dissected; of a udpim datagram only the
frames are (`labels_of`).

Limits: IPv4 without fragments, plaintext format, one or two thousand datagrams per second (scapy's
sniffer runs in one thread), so the lab proves behaviour and measures no speed. What overflowed a
socket's buffer is reported as ``missed``, so that loss nobody ordered is seen.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import signal
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scapy.arch.linux import L2Socket
from scapy.fields import StrField
from scapy.packet import Packet
from scapy.sendrecv import bridge_and_sniff

from udpim_tools.layer import PORT, labels_of

DIRECTIONS = ("12", "21")
"""From the first interface to the second, and back."""
RECEIVE_BUFFER_BYTES = 8 << 20
"""Room for the bursts that arrive while a frame is being handled."""
SLICE_S = 0.1
"""How long the sniffer may wait before it looks whether it shall stop."""

_ETHERNET_BYTES = 14
_IPV4 = b"\x08\x00"
_UDP = 17
_UDP_HEADER_BYTES = 8
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_SO_RCVBUFFORCE = 33
_RULE = re.compile(r"([A-Za-z_-]+(?::[A-Z])?)(?:#([1-9]\d*))?(?:@(12|21))?")


@dataclass(slots=True)
class Rule:
    """Drop the ``nth`` datagram that contains ``label``."""

    label: str
    nth: int = 1
    direction: str | None = None
    """``12``, ``21``, or None to count both together."""
    seen: int = 0
    """Datagrams with this label so far."""
    dropped: int = 0
    """Datagrams that this rule dropped: 0 or 1."""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read ``TYPE[#N][@12|@21]``.

        Raises:
            ValueError: If it is nothing of the kind.
        """
        match = _RULE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not TYPE[#N][@12|@21], like 'msg:A#2@21'")
        return cls(match[1], int(match[2] or 1), match[3])

    def __str__(self) -> str:
        return f"{self.label}#{self.nth}" + (f"@{self.direction}" if self.direction else "")

    def takes(self, labels: Sequence[str], direction: str) -> bool:
        """Count one datagram; say whether it is the one to drop."""
        if self.label not in labels or self.direction not in (None, direction):
            return False
        self.seen += 1
        if self.seen != self.nth:
            return False
        self.dropped = 1
        return True


@dataclass(slots=True)
class Tally:
    """What went one way."""

    forwarded: int = 0
    """Datagrams."""
    dropped: int = 0
    """Datagrams."""
    forwarded_types: Counter[str] = field(default_factory=Counter)
    """By label: datagrams that contained it."""
    dropped_types: Counter[str] = field(default_factory=Counter)
    """By label: datagrams that contained it."""


class Injector:
    """Decides datagram by datagram, and keeps the books.

    Args:
        loss: Probability with which a datagram is dropped, in each direction.
        seed: Of the losses; each direction draws from its own sequence, once per datagram, so
            that neither a rule nor the other direction shifts it.
        rules: Applied to every datagram, whether or not it is lost anyway.
        port: UDP port of the server.
    """

    def __init__(
        self, *, loss: float = 0.0, seed: int = 0, rules: Sequence[Rule] = (), port: int = PORT
    ) -> None:
        self.loss = loss
        self.rules = list(rules)
        self.port = port
        self.tallies = {direction: Tally() for direction in DIRECTIONS}
        self.other = 0
        """Frames passed on without a look."""
        self._random = {d: random.Random(f"{seed}:{d}") for d in DIRECTIONS}

    @property
    def datagrams(self) -> int:
        """Datagrams decided so far, both directions."""
        return sum(tally.forwarded + tally.dropped for tally in self.tallies.values())

    def passes(self, frame: bytes, direction: str) -> bool:
        """Decide about one Ethernet frame and count it."""
        datagram = udp_payload(frame, self.port)
        if datagram is None:
            self.other += 1
            return True
        labels = labels_of(datagram)
        # Every rule counts every datagram, so no short-circuit here.
        ordered = [rule.takes(labels, direction) for rule in self.rules]
        lost = self._random[direction].random() < self.loss
        tally = self.tallies[direction]
        if lost or any(ordered):
            tally.dropped += 1
            tally.dropped_types.update(set(labels))
            return False
        tally.forwarded += 1
        tally.forwarded_types.update(set(labels))
        return True

    def report(self) -> dict[str, Any]:
        """Return what was forwarded and dropped, ready for JSON."""
        return {
            "directions": {
                direction: {
                    "forwarded": tally.forwarded,
                    "dropped": tally.dropped,
                    "forwarded_types": dict(sorted(tally.forwarded_types.items())),
                    "dropped_types": dict(sorted(tally.dropped_types.items())),
                }
                for direction, tally in self.tallies.items()
            },
            "rules": [
                {"rule": str(rule), "seen": rule.seen, "dropped": rule.dropped}
                for rule in self.rules
            ],
            "other": self.other,
        }


def udp_payload(frame: bytes, port: int) -> bytes | None:
    """The UDP payload of an Ethernet frame from or to this port, or None if it has none."""
    ip = frame[_ETHERNET_BYTES:]
    if frame[12:14] != _IPV4 or len(ip) < 20 or ip[9] != _UDP:
        return None
    if int.from_bytes(ip[6:8], "big") & 0x3FFF:
        return None
    udp = ip[(ip[0] & 0x0F) * 4 :]
    if len(udp) < _UDP_HEADER_BYTES:
        return None
    source, destination, length = struct.unpack_from(">HHH", udp)
    return udp[_UDP_HEADER_BYTES:length] if port in (source, destination) else None


class _Frame(Packet):
    """An Ethernet frame that scapy is not to dissect: most of its time would go there."""

    name = "frame"
    fields_desc = (StrField("octets", b""),)


class _FrameSocket(L2Socket):
    """An interface from which whole frames come, and which counts those it could not send."""

    def __init__(self, interface: str) -> None:
        super().__init__(iface=interface)
        self.LL = _Frame
        self.unsent = 0
        self.ins.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        self.count_missed()  # what had come before this socket was bound concerns nobody

    def send(self, x: Packet) -> int:
        """Pass one frame on."""
        try:
            return int(self.outs.send(bytes(x)))
        except OSError:
            self.unsent += 1
            return 0

    def count_missed(self) -> int:
        """How many frames overflowed the receive buffer since the last call."""
        raw = self.ins.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return int(struct.unpack("=II", raw)[1])


def run(
    injector: Injector,
    interfaces: tuple[str, str],
    *,
    seconds: float,
    datagrams: int | None = None,
) -> dict[str, Any]:
    """Bridge two interfaces until time or count is up, or a signal asks for the end.

    Prints ``ready`` on standard error when frames begin to pass.

    Returns:
        The injector's report, with ``unsent``, ``missed`` and ``stopped_by``.
    """
    signals: list[int] = []
    with contextlib.ExitStack() as stack:
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.signal(number, lambda received, _: signals.append(received))
            stack.callback(signal.signal, number, before)
        first, second = (
            stack.enter_context(contextlib.closing(_FrameSocket(name))) for name in interfaces
        )
        print("ready", file=sys.stderr, flush=True)
        end = time.monotonic() + seconds

        def reason() -> str | None:
            if signals:
                return signal.Signals(signals[0]).name
            if datagrams is not None and injector.datagrams >= datagrams:
                return "datagrams"
            return "seconds" if time.monotonic() >= end else None

        while (stopped_by := reason()) is None:
            # In slices: the sniffer's wait does not end at a signal, and an exception in the
            # handler could strike between counting a frame and sending it.
            bridge_and_sniff(
                first,
                second,
                xfrm12=lambda frame: injector.passes(frame.octets, "12"),
                xfrm21=lambda frame: injector.passes(frame.octets, "21"),
                store=False,
                timeout=SLICE_S,
                stop_filter=lambda _: reason() is not None,
            )
        sockets = (first, second)
        return {
            **injector.report(),
            "unsent": sum(interface.unsent for interface in sockets),
            "missed": sum(interface.count_missed() for interface in sockets),
            "stopped_by": stopped_by,
        }


def _probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and print the report; exit code 1 if it may not bridge."""
    parser = argparse.ArgumentParser(
        prog="python -m udpim_tools.injector",
        description="Bridge two interfaces, drop udpim datagrams, report as JSON.",
    )
    parser.add_argument("interfaces", nargs=2, metavar="INTERFACE", help="clients' side, server's")
    parser.add_argument("--loss", type=_probability, default=0.0, help="0 to 1 (default 0)")
    parser.add_argument("--seed", type=int, default=0, help="of the losses (default 0)")
    parser.add_argument(
        "--drop",
        type=Rule.parse,
        action="append",
        default=[],
        metavar="TYPE[#N][@12|@21]",
        help="drop the N-th datagram that contains TYPE, like 'msg:A#2@21'; may be repeated",
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"the server's (default {PORT})")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most (default 60)")
    parser.add_argument("--datagrams", type=int, help="end after so many (default: no such end)")
    options = parser.parse_args(arguments)
    injector = Injector(loss=options.loss, seed=options.seed, rules=options.drop, port=options.port)
    try:
        report = run(
            injector,
            tuple(options.interfaces),
            seconds=options.seconds,
            datagrams=options.datagrams,
        )
    except (OSError, ValueError) as error:
        print(f"injector: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
