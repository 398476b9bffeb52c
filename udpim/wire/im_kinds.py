"""The kinds of IM packets: the first byte of each, and the name that people use (PROTOCOL §4.1)."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """First byte of an IM packet. Kinds from 0x80 on are skipped when unknown."""

    MSG_R = 0x01
    MSG_A = 0x02
    MSG_N = 0x03
    ACK_R = 0x04
    ACK_A = 0x05
    ACK_N = 0x06
    REFUSE = 0x07
    MEMBERS = 0x08
    CANCEL_R = 0x09
    CANCEL_N = 0x0A
    STATUS_R = 0x0B
    STATUS_N = 0x0C
    STATUS_A = 0x0D
    TALLY = 0x0E
    GONE = 0x0F
    OFFLINE_R = 0x10
    OFFLINE_A = 0x11
    OFFLINEACK_R = 0x12
    NUDGE = 0x13
    GROUP_R = 0x14
    GROUP_A = 0x15
    SIGNAL_R = 0x18
    SIGNAL_N = 0x19
    PRESENCE_R = 0x1A
    PRESENCE_A = 0x1B
    READ_R = 0x1C
    READ_N = 0x1D
    READ_A = 0x1E
    LOGIN = 0x20
    LOGIN_OK = 0x21
    LOGIN_REFUSED = 0x22

    @property
    def label(self) -> str:
        """The name that people use: ``msg:R``."""
        words, _, last = self.name.lower().rpartition("_")
        # One of an exchange: request, answer, notification.
        return f"{words}:{last.upper()}" if len(last) == 1 else self.name.lower().replace("_", "-")
