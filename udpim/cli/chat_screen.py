"""The chat on a terminal: the conversation above, a line of state, and a line to write in.

The only module that imports prompt_toolkit. What is shown was made harmless in
`udpim.cli.chat_log`; prompt_toolkit gets it as plain text and interprets nothing in it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout import HSplit, Layout, Window
from prompt_toolkit.layout.controls import (
    BufferControl,
    FormattedTextControl,
    UIContent,
    UIControl,
)
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.output import Output
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from udpim.cli.chat_log import ChatLog, Line, Notice
from udpim.cli.chat_talk import Talk, first_of
from udpim.cli.output import OneLine, printable
from udpim.errors import ConfigError, PayloadTooLarge
from udpim.runtime.settings import check_name

UNSENT_MAX = 100
"""Lines that may wait for room in the outbox; one more stays in the edit line."""
HELP = (
    "Enter sends · /to NAME changes the partner · /quit, Ctrl-C, Ctrl-D leave · PageUp, PageDown"
    " look back · // begins a message with a slash"
)
STYLE = Style.from_dict({"theirs": "bold", "notice": "italic", "status": "reverse"})


class Screen:
    """Draws a conversation and takes what is typed; a `udpim.cli.chat_talk.View`."""

    def __init__(
        self,
        log: ChatLog,
        *,
        user: str,
        to: str,
        remark: str = "",
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        """Prepare it.

        Args:
            log: The lines.
            user: Who we are.
            to: The partner to begin with.
            remark: Stands in the line of state all the time.
            input: Where keys come from; None is the terminal.
            output: Where it is drawn; None is the terminal.
        """
        self._log = log
        self._user = user
        self._to = to
        self._remark = remark
        self._talk: Talk | None = None
        self._unsent: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(UNSENT_MAX)
        self._edit = Buffer(multiline=False, accept_handler=self._accept)
        self.application: Application[None] = Application(
            layout=self._layout(),
            key_bindings=self._keys(),
            style=STYLE,
            full_screen=True,
            input=input,
            output=output,
        )

    async def run(self, talk: Talk) -> None:
        """Show it until somebody wants to leave; then send what was typed before.

        Raises:
            Error: The client has ended.
        """
        self._talk = talk
        with self._complaints_here():
            await first_of(self._run(), self._send())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._leave)
        try:
            await self.application.run_async(set_exception_handler=False)
        finally:
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
        await self._unsent.join()

    def _leave(self) -> None:
        if self.application.is_running and not self.application.is_done:
            self.application.exit()

    # --- Typing ---

    def _accept(self, edit: Buffer) -> bool:
        """Take a line; return whether it stays in the edit line."""
        text = edit.text
        if text.startswith("/") and not text.startswith("//"):
            self._command(*text[1:].partition(" ")[::2])
        elif text:
            # What was typed is text; a lone half of a character can come from the terminal only.
            payload = text.removeprefix("/").encode(errors="replace")
            try:
                self._unsent.put_nowait((self._to, payload))
            except asyncio.QueueFull:
                self._notice("the outbox is full: wait until something has been delivered")
                return True
        return False

    def _command(self, name: str, argument: str) -> None:
        if name == "quit":
            self._leave()
        elif name == "help":
            self._notice(HELP)
            self._notice(self._log.marks.legend())
        elif name == "to":
            try:
                self._to = check_name("recipient", argument.strip())
            except ConfigError as error:
                self._notice(str(error))
        else:
            self._notice(f"there is no /{name}; /help says what there is")

    async def _send(self) -> None:
        while True:
            to, payload = await self._unsent.get()
            try:
                await self._talking().send(to, payload)
            except (PayloadTooLarge, ConfigError) as error:
                self._notice(str(error))
            finally:
                self._unsent.task_done()

    # --- Showing ---

    def sent(self, line: Line) -> None:
        """See `View`."""
        self._log.add(line)
        self.application.invalidate()

    received = sent

    def moved(self, line: Line) -> None:
        """See `View`; the log draws the line with its new mark."""
        self.application.invalidate()

    def linked(self, *, online: bool) -> None:
        """See `View`."""
        self.application.invalidate()

    def _notice(self, text: str) -> None:
        self._log.add(Notice(text))
        self.application.invalidate()

    def _status(self) -> StyleAndTextTuples:
        talk = self._talking()
        count = len(talk.unsettled)
        parts = [
            printable(f"{self._user} {self._log.marks.arrow} {self._to}"),
            "online" if talk.online else "connecting...",
            f"{count} unsettled" if count else "all settled",
            self._remark,
            "more below: PageDown" if self._log.scrolled_back else "/help",
        ]
        return [("class:status", " " + " | ".join(part for part in parts if part))]

    def _talking(self) -> Talk:
        assert self._talk is not None, "drawn while it runs"
        return self._talk

    @contextmanager
    def _complaints_here(self) -> Iterator[None]:
        """Show log records in the conversation: written to the terminal they would tear it."""
        root = logging.getLogger()
        before, handler = root.handlers[:], _NoticeHandler(self._notice)
        root.handlers[:] = [handler]
        try:
            yield
        finally:
            root.handlers[:] = before

    # --- Parts ---

    def _layout(self) -> Layout:
        prompt = BeforeInput(lambda: f"{printable(self._to)}> ")
        edit = Window(BufferControl(self._edit, input_processors=[prompt]), height=1)
        status = Window(FormattedTextControl(self._status), height=1, style="class:status")
        return Layout(
            HSplit([Window(_Conversation(self._log)), status, edit]), focused_element=edit
        )

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        keys.add("c-c")(lambda event: self._leave())
        keys.add("<sigint>")(lambda event: self._leave())
        keys.add("c-d", filter=Condition(lambda: not self._edit.text))(lambda event: self._leave())
        keys.add("pageup")(lambda event: self._log.scroll(1))
        keys.add("pagedown")(lambda event: self._log.scroll(-1))
        return keys


class _Conversation(UIControl):
    """The log, its newest line at the bottom."""

    def __init__(self, log: ChatLog) -> None:
        self._log = log

    def create_content(self, width: int, height: int) -> UIContent:
        """Return exactly the rows that fit."""
        today = datetime.now().astimezone().strftime("%Y-%m-%d")
        rows = self._log.page(width, height, get_cwidth, today)
        rows = [("", "")] * (height - len(rows)) + rows
        return UIContent(
            get_line=lambda at: [(f"class:{rows[at][0]}" if rows[at][0] else "", rows[at][1])],
            line_count=len(rows),
            show_cursor=False,
        )


class _NoticeHandler(logging.Handler):
    def __init__(self, notice: Callable[[str], None]) -> None:
        super().__init__()
        self._say = notice
        self.setFormatter(OneLine())

    def emit(self, record: logging.LogRecord) -> None:
        self._say(self.format(record))
