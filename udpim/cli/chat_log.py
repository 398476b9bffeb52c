"""What a chat shows: its lines, the marks of those that we sent, and how they fill a screen.

No I/O. `udpim.cli.chat_talk` fills it, `udpim.cli.chat_screen` draws it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from udpim.cli.output import printable
from udpim.model import FINAL_STATES, MessageState, MsgId

LINES_MAX = 5000
"""Lines that can be scrolled back to; beyond, the oldest leaves the screen, not the history."""
SHOWN_CHARACTERS_MAX = 4000
"""Of one message on the screen; a longer one says so. The history has all of it."""
KEPT_BYTES_MAX = 4 * SHOWN_CHARACTERS_MAX
"""Of one message in memory, once it has been recorded: enough for what is shown of it."""
CELLS_MIN = 20
"""A narrower screen is drawn as if it were this wide."""

INDENT = "  "

Width = Callable[[str], int]
"""How many cells of a terminal a text takes."""


@dataclass(slots=True, kw_only=True)
class Line:
    """One message of the conversation.

    Attributes:
        msgid: Its identity; sender and recipient are in it.
        mine: Whether this device sent it.
        at_ms: When it was sent by the sender's clock, milliseconds since 1970.
        payload: What was sent.
        state: What is known of it, if it is ours.
        words: Why it was refused, if it was.
        cut_bytes: How much of the payload is not kept here any more.
    """

    msgid: MsgId
    mine: bool
    at_ms: int
    payload: bytes
    state: MessageState = MessageState.PENDING
    words: str = ""
    cut_bytes: int = 0

    def shorten(self) -> None:
        """Keep only as much of the payload as can be shown."""
        self.cut_bytes += max(0, len(self.payload) - KEPT_BYTES_MAX)
        self.payload = self.payload[:KEPT_BYTES_MAX]

    @property
    def text(self) -> str:
        """The payload as text; what is none is escaped."""
        return self.payload.decode(errors="backslashreplace")

    @property
    def open(self) -> bool:
        """Whether its mark can still move."""
        return self.mine and self.state not in FINAL_STATES


@dataclass(frozen=True, slots=True)
class Notice:
    """A line of the chat itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Marks:
    """One sign for each state."""

    signs: dict[MessageState, str]
    arrow: str

    def of(self, line: Line) -> str:
        """Return the sign of a line; a space for what others sent."""
        return self.signs[line.state] if line.mine else " "

    def legend(self) -> str:
        """Say what the signs mean."""
        return " · ".join(f"{self.signs[state]} {words}" for state, words in MEANINGS.items())


MEANINGS = {
    MessageState.PENDING: "on its way",
    MessageState.ACCEPTED: "the server has it",
    MessageState.STORED: "stored for who is away",
    MessageState.DELIVERED: "delivered",
    MessageState.READ: "read",
    MessageState.REJECTED: "will never be delivered",
    MessageState.EXCUSED: "nobody is left to receive it",
    MessageState.UNKNOWN: "unknown",
}
_ORDER = (*MEANINGS, MessageState.VOID)
UNICODE = Marks(dict(zip(_ORDER, "…›s✓●✗–?✗", strict=True)), "→")  # noqa: RUF001  # no letters
ASCII = Marks(dict(zip(_ORDER, ".>s+*x-?x", strict=True)), "->")


def marks_for(encoding: str | None) -> Marks:
    """Return the signs that an encoding can show."""
    try:
        ("".join(UNICODE.signs.values()) + UNICODE.arrow).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


class ChatLog:
    """The lines that are shown, oldest first, and how far back one looks.

    The view is at the end until somebody scrolls back; then it stays where it is while new lines
    come below.
    """

    def __init__(self, marks: Marks, zone: tzinfo | None = None) -> None:
        """Begin without lines; times are shown in the zone, None is the local one."""
        self.marks = marks
        self._zone = zone
        self._items: deque[Line | Notice] = deque(maxlen=LINES_MAX)
        self._new = 0
        """Lines that came since the last `page`."""
        self._back = 0
        """Rows below the view."""
        self._height = 1

    def add(self, item: Line | Notice) -> None:
        """Put a line below the others."""
        self._items.append(item)
        self._new += 1

    def scroll(self, pages: int) -> None:
        """Look a page further back, or forward with a negative number."""
        self._back = max(0, self._back + pages * max(1, self._height - 1))

    @property
    def scrolled_back(self) -> bool:
        """Whether newer lines are out of sight below."""
        return self._back > 0

    def page(self, cells: int, rows: int, width: Width, today: str) -> list[tuple[str, str]]:
        """Return what fills the screen: a style and a text for each row, at most ``rows``.

        Args:
            cells: Width of the screen.
            rows: Its height.
            width: How wide a text is.
            today: The date of today, year-month-day; other days are shown with theirs.
        """
        self._height = rows
        if self._back:
            fresh = list(self._items)[max(0, len(self._items) - self._new) :]
            self._back += sum(len(self._rows(item, cells, width, today)) for item in fresh)
        self._new = 0
        found: list[tuple[str, str]] = []
        for item in reversed(self._items):
            if len(found) >= self._back + rows:
                break
            found += reversed(self._rows(item, cells, width, today))
        self._back = max(0, min(self._back, len(found) - rows))
        return found[self._back : self._back + rows][::-1]

    def _rows(self, item: Line | Notice, cells: int, width: Width, today: str) -> list[_Row]:
        style, text = self._describe(item, today)
        return [(style, row) for row in wrap(text, cells, width)]

    def _describe(self, item: Line | Notice, today: str) -> _Row:
        if isinstance(item, Notice):
            return "notice", f"-- {printable(item.text)}"
        stream = item.msgid.stream
        who = stream.user + (f"{self.marks.arrow}{stream.conversation}" if item.mine else "")
        head = f"{self._when(item.at_ms, today)} {self.marks.of(item)} {printable(who)}: "
        text, why = shown(item), f" ({printable(item.words)})" if item.words else ""
        return "mine" if item.mine else "theirs", f"{head}{text}{why}"

    def _when(self, at_ms: int, today: str) -> str:
        try:
            moment = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self._zone)
        except (OverflowError, ValueError, OSError):
            return "--:--"  # a clock of somebody who means no good
        date = moment.strftime("%Y-%m-%d")
        return moment.strftime("%H:%M" if date == today else "%Y-%m-%d %H:%M")


_Row = tuple[str, str]


def shown(line: Line) -> str:
    """Return a message as it may stand on a screen: nothing that steers it, and not without end."""
    text = line.text
    if not line.cut_bytes and len(text) <= SHOWN_CHARACTERS_MAX:
        return printable(text)
    size = len(line.payload) + line.cut_bytes
    return f"{printable(text[:SHOWN_CHARACTERS_MAX])} ... ({size} bytes)"


def wrap(text: str, cells: int, width: Width) -> list[str]:
    """Break a text into rows, at spaces where there are some; later rows are indented.

    Args:
        text: Printable, without line breaks.
        cells: The most that a row may take; never less than `CELLS_MIN`.
        width: How wide a text is.
    """
    cells = max(cells, CELLS_MIN)
    rows: list[str] = []
    row = ""
    for word in _words(text):
        for piece in _pieces(word, cells, width):
            if row not in ("", INDENT) and width(row) + width(piece) > cells:
                rows.append(row.rstrip())
                row = INDENT + piece.lstrip()
            else:
                row += piece
    return [*rows, row.rstrip()]


def _words(text: str) -> Iterator[str]:
    """Cut before each space; joined, the words are the text again."""
    begin = 0
    for at in range(1, len(text)):
        if text[at] == " ":
            yield text[begin:at]
            begin = at
    yield text[begin:]


def _pieces(word: str, cells: int, width: Width) -> Iterator[str]:
    """Cut what no row can hold; the indentation of later rows fits beside a piece."""
    room = cells - len(INDENT)
    if width(word) <= room:
        yield word
        return
    begin, used = 0, 0
    for at, sign in enumerate(word):
        size = width(sign)
        if used + size > room:
            yield word[begin:at]
            begin, used = at, 0
        used += size
    yield word[begin:]
