"""A sender's timers beside messages whose receipts are late, with the budget for re-sends spent.

The hop has taken every message, each in a packet of its own, and no receipt comes. A unit is one
second: the sender wakes when it wants to, and sends again what the budget allows, which is one
message (PROTOCOL §5.3).
"""

from __future__ import annotations

from udpim import config
from udpim.config import ClientConfig
from udpim.im.handles import OutHandles
from udpim.im.sender import Outbox
from udpim.im.waiting_ack import Flight
from udpim.store.state import StoreState
from udpim.wire.im_codec import encode
from udpim.wire.im_packets import ImPacket, Member, Members
from udpim_bench.flat_meter import Meter
from udpim_bench.measure import WrongCounts

STREAMS = 200
STORE_EPOCH = 1
WAKE_UPS_MAX = 10
"""In one second; a sender that wakes more often is restless."""
SPEND_S = 5
"""Seconds in which the budget of the first minute is spent."""
_PAYLOAD = bytes(1000)
"""So large that no two share a packet."""


class Late:
    """So many messages of one device that should have been receipted."""

    def __init__(self, late: int, rounds: int) -> None:
        """Send the messages, let their timers run out, and spend the budget."""
        self._late = late
        self._rounds = rounds
        self._store = StoreState()
        client = ClientConfig(user="alice", device="d")
        self._outbox = Outbox(client, 1, self._store.client_snapshot(), 0.0)
        self._now = 0.0
        self._room = late + STREAMS
        self._outbox.session_started(OutHandles(), STORE_EPOCH, 0.0)
        for number in range(STREAMS):
            share = late // STREAMS + (number < late % STREAMS)
            payloads = [_PAYLOAD] * max(1, share)
            stream, _ = self._outbox.send(f"b{number}", payloads, now=0.0, wall_ms=0)
            device = Member(0, f"b{number}", "d", 1, 1, 1, 0)
            members = Members(1, None, True, STORE_EPOCH, 1, (device,))
            self._outbox.receive_members(stream, members)
        # Only what goes out in the second session has flights that wake, and it earns no budget.
        self._outbox.session_ended()
        self._outbox.session_started(OutHandles(), STORE_EPOCH, 0.0)
        self._turn()
        self._now = config.E2E_TIMER_S_MIN
        for _ in range(SPEND_S):
            self._second()
        self._resent = self._outbox.resent_messages

    def _turn(self) -> None:
        """Commit, and have the hop take at once what leaves."""
        outbox = self._outbox
        ops = outbox.take_ops()
        if ops:
            self._store.apply(ops)
            outbox.on_committed()
        outbox.take_changes()
        flights: list[Flight] = []

        def emit(packet: ImPacket, flight: Flight) -> None:
            encode(packet)
            flights.append(flight)

        outbox.transmit(emit, self._room)
        for flight in flights:
            outbox.on_acked(flight, self._now)

    def _second(self) -> None:
        until = self._now + 1.0
        for _ in range(WAKE_UPS_MAX):
            self._outbox.handle_timeout(self._now)
            self._turn()
            timeout = self._outbox.next_timeout()
            if timeout is None or timeout >= until:
                self._now = until
                return
            self._now = max(self._now, timeout)
        raise WrongCounts(f"more than {WAKE_UPS_MAX} wake-ups in a second")

    def run(self, meter: Meter) -> None:
        """See `FlatCase.run`."""
        with meter.section("second", self._rounds):
            for _ in range(self._rounds):
                self._second()

    def check(self) -> None:
        """See `FlatCase.check`."""
        resent = self._outbox.resent_messages - self._resent
        self._resent += resent
        if abs(resent - self._rounds) > 1:
            raise WrongCounts(f"{resent} messages were sent again in {self._rounds} s")
        if self._outbox.open_messages != self._late:
            raise WrongCounts(f"{self._outbox.open_messages} are open, and not {self._late}")

    def counts(self) -> dict[str, int]:
        """See `FlatCase.counts`."""
        return {"late": self._outbox.open_messages, "resent": self._outbox.resent_messages}

    def close(self) -> None:
        """See `FlatCase.close`."""
