"""What the application has set aside: a collection that it adds to, looks through and empties.

Stands on the node's inbox, which keeps the messages (PROTOCOL §5.4), and on the queue of what
arrives, from which they come and to which they return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from udpim.errors import AsideFull, Error, LocalProtocolError
from udpim.im.aside import fit_words
from udpim.im.receiver import Inbox, Released
from udpim.im.records import AsideRow
from udpim.message import Incoming, Message


class AsideMessage(NamedTuple):
    """A message that was set aside.

    Attributes:
        message: What somebody wrote.
        words: Why it could not be handled.
    """

    message: Message
    words: str


class Aside:
    """The messages that a client has set aside, oldest first: `udpim.client.Client.aside`.

    They wait for nobody and hold nobody up. Their senders have been told DELIVERED if the client's
    store is a file, where they stay until they are taken from here. With a store in memory, where
    a message is delivered when it is handled, the sender is shown UNKNOWN: no claim either way,
    whatever becomes of it later; and it dies with the process.
    """

    def __init__(self, inbox: Inbox, incoming: Incoming, wake: Callable[[], None]) -> None:
        """Made by the client; ``wake`` has what was done carried out."""
        self._inbox = inbox
        self._incoming = incoming
        self._wake = wake
        self._error: Error | None = None

    def __iter__(self) -> Iterator[AsideMessage]:
        """Go through a copy, so that what is found may be retried or discarded."""
        rows = self._inbox.aside.rows()
        return iter([AsideMessage(Message(*row[:4]), row.words) for row in rows])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._inbox.aside.rows())

    def add(self, message: Message, words: str) -> None:
        """Set aside the message that was handed out last; `Client.run` does it by itself.

        Args:
            message: The one handed out last.
            words: Why, for people; of a long text the beginning is kept.

        Raises:
            LocalProtocolError: It is not the one handed out last.
            AsideFull: There is no room for one more; nothing has changed.
            Error: The client was closed or has ended.
        """
        self._check_open()
        if message is not self._incoming.current:
            raise LocalProtocolError("only the message that was handed out last can be set aside")
        if not self._inbox.set_aside(AsideRow(*message, fit_words(words))):
            raise AsideFull(*self._inbox.aside.sizes().values())
        self._incoming.leave(message)
        self._wake()

    def retry(self, message: Message) -> None:
        """Have a message that is here handed out again, after what waits now.

        Raises:
            LocalProtocolError: It is not here.
            Error: The client was closed or has ended.
        """
        row = self._take_back(message)
        self._incoming.add([Released(row.stream, [(row.seq, row.stamp, row.payload)])])

    def discard(self, message: Message) -> None:
        """Let a message that is here count as handled.

        Raises:
            LocalProtocolError: It is not here.
            Error: The client was closed or has ended.
        """
        row = self._take_back(message)
        self._inbox.handled(row.stream, row.seq, len(row.payload))

    def end(self, error: Error) -> None:
        """The client has ended: nothing can be kept any more."""
        self._error = error

    def _take_back(self, message: Message) -> AsideRow:
        self._check_open()
        row = self._inbox.aside.take_back(message.stream, message.seq)
        if row is None:
            raise LocalProtocolError(f"message {message.msgid} is not set aside")
        self._wake()
        return row

    def _check_open(self) -> None:
        if self._error is not None:
            raise self._error
