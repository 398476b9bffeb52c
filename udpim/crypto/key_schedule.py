"""The keys of a connection through its life: each update replaces both directions' keys.

Stands where one :class:`.aead_protection.AeadProtection` for each direction would. There is no
message that could be lost: who updates flips the key phase bit of its packets, and the peer that
opens the first of them follows. Keys are told apart by that bit and by packet numbers:

* a packet of the present phase is for the present receive key;
* one of the other phase that is older than one of the present key's is for the previous key,
  which is kept until the owner says (after 3 PTO) that nothing under it is on its way any more;
* any other one can only be for the next key. Failing to open it changes nothing.

At most one update is under way: a side begins none until the peer has acked a packet of the
present phase, has followed, and the previous key was forgotten.

Specification: RFC 9001 §6, with Noise's REKEY (revision 34, §4.2) in the place of its KDF.
"""

from __future__ import annotations

from udpim.crypto.aead_protection import INTEGRITY, AeadProtection
from udpim.errors import LocalProtocolError
from udpim.wire.packet import FLAG_KEY_PHASE

UPDATE_PACKETS = 1 << 20
"""An eighth of what AES-GCM may seal."""
UPDATE_S = 1800.0
"""What a stolen key opens of the past is half an hour."""


class KeySchedule:
    """Both directions; a :class:`udpim.crypto.protection.Protection` for either."""

    __slots__ = (
        "_acked",
        "_divide",
        "_first_sealed",
        "_previous",
        "_receive",
        "_receive_flag",
        "_send",
        "_since",
        "encrypted",
        "forged_packets",
        "phase_flag",
        "tag_bytes",
        "update_packets",
        "update_s",
        "updates",
    )

    def __init__(self, send: AeadProtection, receive: AeadProtection) -> None:
        """Begin with the keys of a handshake, in phase 0."""
        self.tag_bytes = send.tag_bytes
        self.encrypted = True
        self.phase_flag = 0
        """What the flags of packets have to say that are sealed now."""
        self.forged_packets = 0
        self.updates = 0
        """How often the send key was replaced, by this side's will or the peer's."""
        self.update_packets = UPDATE_PACKETS
        """How many packets a key seals before it is replaced."""
        self.update_s = UPDATE_S
        """How old a key becomes."""
        self._send = send
        self._receive = receive
        self._previous: AeadProtection | None = None
        self._receive_flag = 0
        self._first_sealed: int | None = None
        # Any packet of the present key divides those of the previous from those of the next one.
        self._divide = 0
        self._acked = False
        self._since: float | None = None

    # Packets.

    def seal(self, header: bytes, packet_number: int, payload: bytes) -> bytes:
        """Protect a packet whose header shows `phase_flag`; raises as `AeadProtection.seal`."""
        assert header[0] & FLAG_KEY_PHASE == self.phase_flag, "the header shows another phase"
        if self._first_sealed is None:
            self._first_sealed = packet_number
        return self._send.seal(header, packet_number, payload)

    def open(self, header: bytes, packet_number: int, sealed: bytes) -> bytes | None:
        """Open a packet under the key that it must be for; follow the peer to a next one.

        Returns:
            The payload; None if that key does not open it, or the connection has reached its
            integrity limit, of which `exhausted` tells.
        """
        if self.forged_packets >= self._receive.limits.forged_packets_max:
            return None
        key, follows = self._key_of(header, packet_number)
        if key is None:
            return None
        payload = key.open(header, packet_number, sealed)
        if payload is None:
            self.forged_packets += 1
        elif follows:
            self._follow(key, packet_number)
        return payload

    # Updates.

    def on_acked(self, largest_acked: int) -> None:
        """The peer has acked packets up to this number."""
        if self._first_sealed is not None and largest_acked >= self._first_sealed:
            self._acked = True

    def update_due(self, now: float) -> bool:
        """Whether the owner should call :meth:`update`: the key is old or busy, and may go."""
        if self._since is None:
            self._since = now
        busy = self._send.sealed_packets >= self.update_packets
        worn = busy or now - self._since >= self.update_s
        return worn and self.may_update

    def update(self) -> None:
        """Seal under the next key from now on, and let the peer follow.

        Raises:
            LocalProtocolError: If the last update is still under way.
        """
        if not self.may_update:
            raise LocalProtocolError("the last key update is still under way")
        self._replace_send()

    def forget_previous(self) -> None:
        """Nothing under the previous receive key is on its way any more; harmless without one."""
        self._previous = None

    @property
    def may_update(self) -> bool:
        """Whether no update is under way."""
        return self._acked and self._previous is None and self.phase_flag == self._receive_flag

    @property
    def keeps_previous(self) -> bool:
        """Whether the owner owes a :meth:`forget_previous`, 3 PTO after this became true."""
        return self._previous is not None

    @property
    def packets_left(self) -> int:
        """How many packets the send key may still seal."""
        return self._send.limits.sealed_packets_max - self._send.sealed_packets

    @property
    def exhausted(self) -> str | None:
        """Which limit was reached, after which the connection must end; None before."""
        if self.forged_packets >= self._receive.limits.forged_packets_max:
            return INTEGRITY
        return self._send.exhausted

    # Inside.

    def _key_of(self, header: bytes, packet_number: int) -> tuple[AeadProtection | None, bool]:
        """The key that a packet must be for, and whether that is the next one.

        The next one is made when it is asked for: it would take 2 KiB in each idle connection, and
        a forger gets no more than that work out of it.
        """
        if header[0] & FLAG_KEY_PHASE == self._receive_flag:
            return self._receive, False
        if packet_number < self._divide:
            return self._previous, False
        return self._receive.successor(), True

    def _follow(self, key: AeadProtection, packet_number: int) -> None:
        """The peer seals under its next key: so do we, unless we were first."""
        self._previous, self._receive = self._receive, key
        self._receive_flag ^= FLAG_KEY_PHASE
        self._divide = packet_number
        if self.phase_flag != self._receive_flag:
            self._replace_send()

    def _replace_send(self) -> None:
        self._send = self._send.successor()
        self.phase_flag ^= FLAG_KEY_PHASE
        self.updates += 1
        self._first_sealed = None
        self._acked = False
        self._since = None
