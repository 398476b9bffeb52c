"""The chat's screen: keys go in through a pipe, and what stands on the screen is read back."""

import asyncio
import contextlib
import logging
import os
import signal

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from tests.runtime.helpers import live, login, serve, until
from udpim.cli.chat_history import History
from udpim.cli.chat_log import UNICODE, ChatLog
from udpim.cli.chat_screen import UNSENT_MAX, Screen
from udpim.cli.chat_talk import Talk, first_of
from udpim.errors import ConnectionClosed, PayloadTooLarge

ENTER, PAGE_UP, PAGE_DOWN = "\r", "\x1b[5~", "\x1b[6~"
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """A screen of 80 × 40, and its keyboard."""

    def __init__(self, keyboard, **options):
        self.keyboard = keyboard
        values = {"user": "alice", "to": "bob"} | options
        self.screen = Screen(ChatLog(UNICODE), input=keyboard, output=DummyOutput(), **values)

    def type(self, *texts):
        self.keyboard.send_text("".join(texts))

    @property
    def rows(self):
        drawn = self.screen.application.renderer.last_rendered_screen
        if drawn is None:
            return []
        grid = drawn.data_buffer
        return ["".join(grid[y][x].char for x in range(80)).strip() for y in range(40)]

    def shows(self, *texts):
        """Whether each text stands in some row, in this order from top to bottom."""
        rows = iter(self.rows)
        return all(any(text in row for row in rows) for text in texts)

    @property
    def status(self):
        return self.rows[38]

    @property
    def edit(self):
        return self.rows[39]

    async def see(self, *texts):
        await until(lambda: self.shows(*texts))


class FakeTalk:
    """Sends nothing; a test decides what became of it."""

    def __init__(self):
        self.online, self.unsettled, self.log, self.taken = True, [], [], 0
        self.room = asyncio.Event()
        self.room.set()
        self.error = None

    async def send(self, to, payload):
        self.taken += 1
        await self.room.wait()
        if self.error is not None:
            raise self.error
        self.log.append((to, payload))


@contextlib.asynccontextmanager
async def shown(talk=None, **options):
    with create_pipe_input() as keyboard:
        terminal = Terminal(keyboard, **options)
        terminal.talk = talk or FakeTalk()
        terminal.run = asyncio.create_task(terminal.screen.run(terminal.talk))
        try:
            await until(lambda: terminal.rows)
            yield terminal
        finally:
            terminal.run.cancel()
            await asyncio.gather(terminal.run, return_exceptions=True)


@live
async def test_a_mark_moves_from_pending_to_delivered_on_the_screen(tmp_path):
    async with serve(store=tmp_path / "server.db") as server:
        async with login(server, "bob", store=tmp_path / "bob.db"):
            pass
        alice = await login(server, "alice", store=tmp_path / "alice.db")
        with create_pipe_input() as keyboard:
            terminal = Terminal(keyboard)
            talk = Talk(alice, History(None), terminal.screen)
            await talk.begin(0)
            running = asyncio.create_task(
                first_of(terminal.screen.run(talk), talk.receive(), talk.watch())
            )
            await terminal.see("alice → bob | online | all settled")
            terminal.type("hello", ENTER)
            await terminal.see("s alice→bob: hello", "1 unsettled")
            (where,) = [y for y, row in enumerate(terminal.rows) if "hello" in row]
            async with login(server, "bob", store=tmp_path / "bob.db") as bob:
                await bob.send("alice", b"h\x1b]0;owned\x07o")
                await terminal.see("✓ alice→bob: hello", "bob: h\\x1b]0;owned\\x07o", "all settled")
            assert "✓ alice→bob: hello" in terminal.rows[where - 1]
            terminal.type("/quit", ENTER)
            await running
        await alice.close()
        await talk.end()


@live
async def test_what_is_typed_is_sent_in_its_order_to_the_partner_of_the_moment():
    async with shown() as terminal:
        terminal.type("one", ENTER, "/to carol", ENTER, "zwölf", ENTER, ENTER, "//usr", ENTER)
        await until(lambda: len(terminal.talk.log) == 3)
        await terminal.see("alice → carol", "carol>")
    assert [("bob", b"one"), ("carol", "zwölf".encode()), ("carol", b"/usr")] == terminal.talk.log


@pytest.mark.parametrize("keys", [CTRL_C, CTRL_D, "/quit" + ENTER, "half a line" + CTRL_C])
@live
async def test_it_is_left(keys):
    async with shown() as terminal:
        terminal.type(keys)
        await terminal.run
        assert [] == terminal.talk.log


@live
async def test_ctrl_d_in_a_line_deletes_and_does_not_leave():
    async with shown() as terminal:
        terminal.type("ab", "\x01", CTRL_D, ENTER)
        await until(lambda: terminal.talk.log)
        assert [("bob", b"b")] == terminal.talk.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@live
async def test_a_signal_leaves_with_the_terminal_in_order(number):
    async with shown() as terminal:
        os.kill(os.getpid(), number)
        await terminal.run


@live
async def test_what_was_typed_before_leaving_is_sent():
    async with shown() as terminal:
        terminal.talk.room.clear()
        terminal.type("one", ENTER, "two", ENTER, CTRL_C)
        await until(lambda: terminal.screen.application.is_done)
        assert [] == terminal.talk.log
        terminal.talk.room.set()
        await terminal.run
        assert [("bob", b"one"), ("bob", b"two")] == terminal.talk.log


@live
async def test_a_line_for_which_there_is_no_room_stays_in_the_edit_line():
    async with shown() as terminal:
        terminal.talk.room.clear()
        terminal.type("x", ENTER)
        await until(lambda: terminal.talk.taken)
        terminal.type(("x" + ENTER) * UNSENT_MAX, "last", ENTER)
        await terminal.see("the outbox is full")
        await until(lambda: terminal.edit == "bob> last")
        terminal.talk.room.set()
        await until(lambda: len(terminal.talk.log) == UNSENT_MAX + 1)
        terminal.type(ENTER)
        await until(lambda: terminal.talk.log[-1] == ("bob", b"last"))


@live
async def test_help_explains_commands_and_marks():
    async with shown() as terminal:
        terminal.type("/help", ENTER)
        await terminal.see("-- Enter sends · /to NAME", "✓ delivered")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/fly", "there is no /fly; /help says"),
        ("/to", "recipient must have 1 to 32 bytes"),
        ("/to " + "x" * 33, "recipient must have 1 to 32 bytes"),
    ],
)
@live
async def test_a_wrong_command_is_said_and_not_sent(line, words):
    async with shown() as terminal:
        terminal.type(line, ENTER)
        await terminal.see(words, "alice → bob")
        assert [] == terminal.talk.log


@live
async def test_what_cannot_be_sent_is_said_and_the_chat_goes_on():
    async with shown() as terminal:
        terminal.talk.error = PayloadTooLarge(10, 9)
        terminal.type("one", ENTER)
        await terminal.see("10 bytes is over the limit")
        terminal.talk.error = None
        terminal.type("two", ENTER)
        await until(lambda: terminal.talk.log == [("bob", b"two")])


@live
async def test_the_end_of_the_client_ends_it():
    async with shown() as terminal:
        terminal.talk.error = ConnectionClosed(0, "over")
        terminal.type("one", ENTER)
        with pytest.raises(ConnectionClosed):
            await terminal.run


@live
async def test_the_line_of_state_tells_connection_and_remark():
    async with shown(remark="all is forgotten") as terminal:
        await until(
            lambda: (
                terminal.status == "alice → bob | online | all settled | all is forgotten | /help"
            )
        )
        terminal.talk.online = False
        terminal.screen.linked(online=False)
        await until(lambda: "connecting..." in terminal.status)


@live
async def test_pages_back_and_forth():
    async with shown() as terminal:
        for _ in range(30):
            terminal.type("/fly", ENTER, "/help", ENTER)
        await terminal.see("✓ delivered")
        before = terminal.rows
        terminal.type(PAGE_UP)
        await until(lambda: "more below: PageDown" in terminal.status)
        assert before != terminal.rows
        terminal.type(PAGE_DOWN)
        await until(lambda: before == terminal.rows)


@live
async def test_log_records_are_shown_in_the_conversation_and_tear_nothing(capsys):
    before = logging.getLogger().handlers[:]
    async with shown() as terminal:
        logging.getLogger("udpim").error("something\nbroke")
        await terminal.see("-- udpim: something broke")
    assert before == logging.getLogger().handlers
    assert ("", "") == capsys.readouterr()


@live
async def test_names_that_could_steer_the_terminal_are_escaped():
    async with shown(user="a\x1b", to="b\x9b") as terminal:
        await until(lambda: "a\\x1b → b\\x9b" in terminal.status)
        assert "b\\x9b>" == terminal.edit
