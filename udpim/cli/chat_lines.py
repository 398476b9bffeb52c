"""The chat through pipes: lines in, lines out, or one JSON object for each thing that happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from udpim.cli.chat_log import Line
from udpim.cli.chat_talk import Talk
from udpim.cli.output import payload_fields, printable, put, put_json
from udpim.errors import PayloadTooLarge


class LineView:
    """Prints what happens; a `udpim.cli.chat_talk.View`."""

    def __init__(self, *, as_json: bool) -> None:
        """Print JSON or lines for people."""
        self._json = as_json
        self._open: dict[int, Line] = {}
        """Sent in this run and not settled, by the identity of the object."""

    async def run(self, talk: Talk, to: str, lines: AsyncIterator[bytes], timeout_s: float) -> None:
        """Send each line, then wait for what became of them.

        Raises:
            PayloadTooLarge: A line was; what came before it was sent, what came after was not.
            Error: The client has ended.
        """
        too_large: PayloadTooLarge | None = None
        async for payload in lines:
            try:
                await talk.send(to, payload)
            except PayloadTooLarge as error:
                too_large = error
                break
        await talk.settle(timeout_s)
        if too_large is not None:
            raise too_large

    def finish(self) -> None:
        """Say how far those have come that were sent in this run and are not settled."""
        if not self._json:
            for line in self._open.values():
                _put_state(line)

    def sent(self, line: Line) -> None:
        """See `View`."""
        self._open[id(line)] = line
        if self._json:
            put_json({"event": "sent", **_names(line), **payload_fields(line.payload)})

    def moved(self, line: Line) -> None:
        """See `View`; people are told of ends only."""
        if not line.open:
            self._open.pop(id(line), None)
        if self._json:
            words = {"words": line.words} if line.words else {}
            state = line.state.name.lower()
            put_json({"event": "state", **_names(line), "state": state, **words})
        elif not line.open:
            _put_state(line)

    def received(self, line: Line) -> None:
        """See `View`."""
        stream = line.msgid.stream
        if not self._json:
            put(printable(f"{stream.user}: {line.text}"))
            return
        put_json(
            {
                "event": "message",
                "from": stream.user,
                "device": stream.device,
                "msgid": str(line.msgid),
                "sent_at": _iso(line.at_ms),
                **payload_fields(line.payload),
            }
        )

    def linked(self, *, online: bool) -> None:
        """See `View`."""
        if self._json:
            put_json({"event": "online" if online else "offline"})


def _names(line: Line) -> dict[str, str]:
    return {"msgid": str(line.msgid), "to": line.msgid.stream.conversation}


def _put_state(line: Line) -> None:
    words = f"  ({line.words})" if line.words else ""
    put(printable(f"{line.state.name.lower():<9} {line.msgid}{words}"))


def _iso(at_ms: int) -> str | None:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None  # no clock shows such a time
