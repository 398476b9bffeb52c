"""Client and history joined: recorded once, marks that follow receipts, also after a restart."""

import asyncio
import contextlib

import pytest

import udpim
from tests.runtime.helpers import live, login, serve, take, until
from udpim.cli import chat_talk
from udpim.cli.chat_history import History
from udpim.cli.chat_log import KEPT_BYTES_MAX
from udpim.cli.chat_talk import Talk, first_of
from udpim.cli.output import Exit
from udpim.errors import ConfigError, StoreError
from udpim.model import MessageState


class View:
    """Writes down what it is told."""

    def __init__(self):
        self.lines, self.payloads, self.states, self.links = [], [], [], []

    def sent(self, line):
        self.lines.append(line)
        self.payloads.append(line.payload)

    received = sent

    def moved(self, line):
        self.states.append((line.text, line.state))

    def linked(self, *, online):
        self.links.append(online)

    @property
    def texts(self):
        return [f"{line.msgid.stream.user}: {line.text}" for line in self.lines]


class FullHistory(History):
    def add(self, line):
        raise StoreError(self.path, "no room")


@contextlib.asynccontextmanager
async def talking(server, user, folder=None, history=History, **options):
    """A talk at work; its client is closed before it ends, as the command does."""
    store = None if folder is None else folder / f"{user}.db"
    client = await login(server, user, store=store, **options)
    view = View()
    talk = Talk(client, history(None if store is None else f"{store}-chat"), view)
    view.before = await talk.begin(100)
    tasks = [asyncio.create_task(talk.receive()), asyncio.create_task(talk.watch())]
    try:
        yield talk, view
    finally:
        for task in tasks:
            task.cancel()
        view.ends = await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()
        await talk.end()


@live
async def test_messages_go_both_ways_and_marks_move():
    async with (
        serve() as server,
        talking(server, "alice") as (alice, seen),
        talking(server, "bob") as (bob, theirs),
    ):
        await alice.send("bob", b"hi")
        await until(lambda: theirs.texts)
        await bob.send("alice", b"ho \xff")
        await until(lambda: not (alice.unsettled or bob.unsettled) and len(seen.lines) == 2)
        assert ["alice: hi", "bob: ho \\xff"] == seen.texts == theirs.texts
        assert ("hi", MessageState.DELIVERED) == seen.states[-1]
        assert MessageState.DELIVERED is seen.lines[0].state
        assert [True] == seen.links
        assert (Exit.OK, 0) == (alice.verdict, alice.waiting)


@live
async def test_of_a_large_message_only_what_can_be_shown_stays_in_memory():
    large = b"x" * 100_000
    async with (
        serve() as server,
        talking(server, "alice") as (alice, seen),
        login(server, "bob") as bob,
    ):
        await alice.send("bob", large)
        await take(bob, 1)
        await bob.send("alice", large)
        await until(lambda: len(seen.lines) == 2 and not alice.unsettled)
        assert [large] * 2 == seen.payloads
        # A line is cut when it is settled and shown, whichever comes last.
        await until(lambda: {KEPT_BYTES_MAX} == {len(line.payload) for line in seen.lines})


@live
async def test_a_restart_shows_the_history_and_marks_move_on(tmp_path):
    async with serve(store=tmp_path / "server.db") as server:
        async with login(server, "bob", store=tmp_path / "bob.db"):
            pass
        async with talking(server, "alice", tmp_path) as (alice, seen):
            await alice.send("bob", b"while you are away")
            await until(lambda: seen.lines[0].state is MessageState.STORED)
            assert (Exit.OK, 0, 1) == (alice.verdict, alice.waiting, len(alice.unsettled))
        async with talking(server, "alice", tmp_path) as (alice, seen):
            (line,) = seen.before
            assert MessageState.STORED is line.state
            async with login(server, "bob", store=tmp_path / "bob.db") as bob:
                await take(bob, 1)
                await until(lambda: line.state is MessageState.DELIVERED)
            assert [("while you are away", MessageState.DELIVERED)] == seen.states
        async with talking(server, "alice", tmp_path) as (alice, seen):
            assert [MessageState.DELIVERED] == [line.state for line in seen.before]
            assert [] == alice.unsettled


@live
async def test_what_was_settled_in_between_is_seen_at_the_start(tmp_path):
    async with serve(store=tmp_path / "server.db") as server:
        async with login(server, "bob", store=tmp_path / "bob.db"):
            pass
        async with talking(server, "alice", tmp_path) as (alice, seen):
            await alice.send("bob", b"hi")
            await until(lambda: seen.lines[0].state is MessageState.STORED)
        async with (
            login(server, "alice", store=tmp_path / "alice.db") as plain,
            login(server, "bob", store=tmp_path / "bob.db") as bob,
        ):
            await take(bob, 1)
            await until(lambda: plain.stats()["outbox"]["open_messages"] == 0)
        async with talking(server, "alice", tmp_path) as (_, seen):
            assert [MessageState.DELIVERED] == [line.state for line in seen.before]


@live
async def test_a_message_is_recorded_before_it_is_handled_and_never_twice(tmp_path):
    """The crash in between: recorded, not handled, so the inbox hands it out again."""
    async with serve() as server, login(server, "alice") as alice:
        client = await login(server, "bob", store=tmp_path / "bob.db")
        client.handled = lambda message: None
        history = History(str(tmp_path / "bob.db-chat"))
        talk = Talk(client, history, view := View())
        await talk.begin(0)
        receiving = asyncio.create_task(talk.receive())
        await alice.send("bob", b"once")
        await until(lambda: view.lines and history.knows(view.lines[0].msgid))
        receiving.cancel()
        await client.close()
        await talk.end()
        async with talking(server, "bob", tmp_path) as (_, seen):
            assert ["once"] == [line.text for line in seen.before]
            await alice.send("bob", b"twice")
            await until(lambda: seen.lines)
            assert ["alice: twice"] == seen.texts
        async with talking(server, "bob", tmp_path) as (_, seen):
            assert ["once", "twice"] == [line.text for line in seen.before]


@live
async def test_what_cannot_be_recorded_is_not_handled(tmp_path):
    async with serve() as server, login(server, "alice") as alice:
        async with talking(server, "bob", tmp_path, FullHistory) as (bob, seen):
            await alice.send("bob", b"hi")
            await until(lambda: seen.lines)
            with pytest.raises(StoreError):
                await bob.send("alice", b"ho")
        assert isinstance(seen.ends[0], StoreError)
        async with talking(server, "bob", tmp_path) as (_, seen):
            await until(lambda: seen.lines)
            assert ["alice: hi"] == seen.texts


@live
async def test_a_message_whose_sending_is_cancelled_is_recorded_all_the_same(tmp_path):
    async with serve() as server:
        async with talking(server, "alice", tmp_path) as (alice, _):
            sending = asyncio.create_task(alice.send("zoe", b"on its way"))
            await asyncio.sleep(0)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        async with talking(server, "alice", tmp_path) as (_, seen):
            assert ["on its way"] == [line.text for line in seen.before]


@live
async def test_a_rejection_comes_with_its_reason_and_is_exit_4(tmp_path):
    async with serve() as server:
        async with talking(server, "alice", tmp_path) as (alice, seen):
            await alice.send("zoe", b"hi")
            await alice.settle(20)
            assert [("hi", MessageState.REJECTED)] == seen.states
            assert ("unknown recipient", Exit.REFUSED) == (seen.lines[0].words, alice.verdict)
        async with talking(server, "alice", tmp_path) as (alice, seen):
            assert ["unknown recipient"] == [line.words for line in seen.before]
            assert Exit.OK is alice.verdict


@live
async def test_time_over_before_the_server_has_said_enough_is_exit_3():
    async with (
        serve(known_user=lambda user: True) as server,
        talking(server, "alice", close_timeout=0.0) as (alice, _),
    ):
        await alice.send("bob", b"hi")
        await alice.settle(0.2)
        assert (Exit.UNCONFIRMED, 1) == (alice.verdict, alice.waiting)


@live
async def test_a_loss_of_the_server_is_shown_and_passes(tmp_path):
    file = tmp_path / "server.db"
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(store=file))
        talk, seen = await stack.enter_async_context(talking(server, "alice", tmp_path))
        tablet = await stack.enter_async_context(login(server, "alice", device="tablet"))
        assert talk.online
        await server.close()
        await until(lambda: seen.links == [True, False])
        assert not talk.online
        await talk.send("alice", b"to myself, later")
        await stack.enter_async_context(serve(port=server.address[1], store=file))
        await until(lambda: seen.links == [True, False, True])
        assert b"to myself, later" == (await take(tablet, 1))[0].payload
        await until(lambda: not talk.unsettled)
        assert ["alice: to myself, later"] == seen.texts


@live
async def test_lines_of_another_store_are_shown_as_unknown(tmp_path):
    async with serve() as server:
        async with login(server, "bob", store=tmp_path / "bob.db"):
            pass
        async with talking(server, "alice", tmp_path, close_timeout=0.0) as (alice, _):
            await alice.send("bob", b"hi")
        for path in tmp_path.glob("alice.db*"):
            if not path.name.endswith("-chat"):
                path.unlink()
        async with talking(server, "alice", tmp_path) as (alice, seen):
            assert [MessageState.UNKNOWN] == [line.state for line in seen.before]
            assert ([], Exit.OK) == (alice.unsettled, alice.verdict)


@live
async def test_every_receipt_is_looked_at_though_few_are_in_one_go(tmp_path, monkeypatch):
    monkeypatch.setattr(chat_talk, "LOOKS_MAX", 3)
    monkeypatch.setattr(chat_talk, "LOOK_S", 0.0)
    async with serve(store=tmp_path / "server.db") as server:
        async with login(server, "bob", store=tmp_path / "bob.db"):
            pass
        async with talking(server, "alice") as (alice, seen):
            for number in range(10):
                await alice.send("bob", b"%d" % number)
            await until(lambda: {MessageState.STORED} == {line.state for line in seen.lines})
            async with login(server, "bob", store=tmp_path / "bob.db") as bob:
                await take(bob, 10)
                await until(lambda: not alice.unsettled)
            assert {MessageState.DELIVERED} == {line.state for line in seen.lines}


@live
async def test_what_an_earlier_run_left_on_its_way_is_waited_for(tmp_path):
    async with serve(known_user=lambda user: True) as server:
        for _ in range(2):
            async with talking(server, "alice", tmp_path, close_timeout=0.0) as (alice, seen):
                if not seen.before:
                    await alice.send("bob", b"hi")
                await alice.settle(0.1)
                assert (Exit.UNCONFIRMED, 1) == (alice.verdict, alice.waiting)
        async with (
            login(server, "bob") as bob,
            talking(server, "alice", tmp_path) as (alice, _),
        ):
            await take(bob, 1)
            await alice.settle(20)
            assert (Exit.OK, 0) == (alice.verdict, alice.waiting)


@live
async def test_the_end_of_the_client_ends_the_talk():
    async with serve() as server:
        async with talking(server, "alice") as (_, seen), login(server, "alice"):
            await until(lambda: seen.links == [True, False])
        assert isinstance(seen.ends[0], udpim.LoginError)


@live
async def test_the_first_that_ends_ends_the_others():
    stopped = []

    async def waits():
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    async def fails():
        await asyncio.sleep(0)
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        await first_of(waits(), fails(), waits())
    await first_of(waits(), asyncio.sleep(0))
    assert [True] * 3 == stopped
