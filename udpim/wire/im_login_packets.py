"""The values of the IM packets of a login (PROTOCOL §4.2); as those of `im_packets`."""

from __future__ import annotations

from typing import NamedTuple


class Login(NamedTuple):
    """Client → S: who I am."""

    user: str
    device: str
    token: bytes
    incarnation: int
    login_count: int
    """Rises by one with every login, durably; a lower one betrays a restored store."""
    continues: bool = False
    """Messages of an older incarnation are still under way; without it, that one has ended."""
    four_packets: bool = False
    """The session does without msg:A and ack:A."""

    def __repr__(self) -> str:
        """Show everything but the token."""
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name != "token")
        return f"Login({', '.join(shown)})"


class LoginOk(NamedTuple):
    """S → client: welcome."""

    store_epoch: int
    durable: bool
    queue_waiting: bool
    payload_bytes_max: int
    window: int


class LoginRefused(NamedTuple):
    """S → client: no."""

    code: int
    reason: str
