"""A handler that raises: again after a back-off, then set aside, and nobody else waits."""

import asyncio
from contextlib import suppress

import pytest

import udpim
from tests.desk import Desk
from tests.im.helpers import STREAM
from tests.runtime.helpers import live, turns, until
from udpim.handling import Patience

OTHER = STREAM._replace(user="carol")
SOON = {"backoff_s_min": 0.001, "backoff_s_max": 0.002}


def patience(retries=2, **changes):
    return Patience(retries=retries, **(SOON | changes))


class Program:
    """A handler that raises for some payloads, so many times."""

    def __init__(self, **poison):
        self.calls = []
        self.left = {name.encode(): times for name, times in poison.items()}

    def __call__(self, message):
        self.calls.append(message.payload)
        if self.left.get(message.payload, 0) > 0:
            self.left[message.payload] -= 1
            raise ValueError("cannot read it")


class Running:
    """A run in a task of its own, ended at the end of the block."""

    def __init__(self, desk, handler, how=None):
        self.run = desk.handling.run(handler, how or patience())

    async def __aenter__(self):
        self.task = asyncio.create_task(self.run)
        return self.task

    async def __aexit__(self, *exc):
        if not self.task.done():
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task


def test_a_back_off_doubles_up_to_its_maximum():
    how = Patience(retries=9, backoff_s_min=0.1, backoff_s_max=30.0)
    waits = [how.wait_s(n) for n in range(1, 12)]
    assert waits[:3] == [0.1, 0.2, 0.4]
    assert waits == sorted(waits)
    assert 30.0 == waits[-1] == how.wait_s(10**9)


@pytest.mark.parametrize(
    "wrong",
    [{"retries": -1}, {"backoff_s_min": 0}, {"backoff_s_min": 3.0}, {"backoff_s_max": -1.0}],
)
def test_patience_that_cannot_work_is_refused(wrong):
    with pytest.raises(udpim.ConfigError):
        patience(**wrong)


@live
async def test_what_returns_is_handled_and_coroutines_are_awaited():
    desk, seen = Desk(), []
    desk.arrive(b"1", b"2")

    async def handler(message):
        await asyncio.sleep(0)
        seen.append(message.payload)

    async with Running(desk, handler):
        await until(lambda: len(seen) == 2)
        desk.arrive(b"3")
        await until(lambda: desk.incoming.handled_count == 3)
    assert [b"1", b"2", b"3"] == seen
    assert 0 == desk.handling.failures


@live
async def test_a_handler_that_raises_is_called_again_until_it_can():
    desk, program = Desk(), Program(bad=2)
    desk.arrive(b"bad", b"next")
    async with Running(desk, program):
        await until(lambda: desk.incoming.handled_count == 2)
    assert [b"bad", b"bad", b"bad", b"next"] == program.calls
    assert (0, 2) == (len(desk.aside), desk.handling.failures)


@live
async def test_after_the_last_retry_a_message_is_set_aside_and_its_stream_goes_on(caplog):
    desk, program = Desk(), Program(bad=99)
    desk.arrive(b"bad", b"next")
    async with Running(desk, program):
        await until(lambda: desk.incoming.handled_count == 1)
    assert [b"bad", b"bad", b"bad", b"next"] == program.calls
    assert [(b"bad", "ValueError: cannot read it")] == [(m.payload, w) for m, w in desk.aside]
    assert "alice/a→bob#1 is set aside after 3 attempts: ValueError" in caplog.text
    desk.commit()
    assert 0 == desk.waiting


@live
async def test_without_retries_the_first_error_sets_aside():
    desk, program = Desk(), Program(bad=1)
    desk.arrive(b"bad")
    async with Running(desk, program, patience(0)):
        await until(lambda: len(desk.aside) == 1)
    assert [b"bad"] == program.calls


@live
async def test_other_streams_go_on_while_one_waits():
    """The back-off never ends here: whoever waited for it would wait for ever."""
    desk, program = Desk(), Program(bad=99)
    desk.arrive(b"0", b"bad", b"behind")
    desk.arrive(b"1", b"2", stream=OTHER)
    desk.arrive(b"far behind")
    async with Running(desk, program, patience(backoff_s_min=1e6, backoff_s_max=1e6)):
        await until(lambda: desk.incoming.handled_count == 3)
        desk.arrive(b"still behind")
        desk.arrive(b"3", b"4", stream=OTHER)
        await until(lambda: desk.incoming.handled_count == 5)
        await turns(5)
    assert [b"0", b"bad", b"1", b"2", b"3", b"4"] == program.calls
    reader = desk.incoming.read()
    rest = [(await anext(reader)).payload for _ in range(4)]
    assert [b"bad", b"behind", b"far behind", b"still behind"] == rest, "nothing lost, in order"


@live
async def test_each_message_has_its_own_count_of_attempts():
    desk, program = Desk(), Program(a=2, b=2, c=99)
    desk.arrive(b"a", b"b", b"c", b"d")
    async with Running(desk, program):
        await until(lambda: desk.incoming.handled_count == 3)
    assert [b"a"] * 3 + [b"b"] * 3 + [b"c"] * 3 + [b"d"] == program.calls
    assert [b"c"] == [entry.message.payload for entry in desk.aside]


@live
async def test_a_retry_comes_before_the_rest_of_another_streams_run():
    """It is due while a long run of somebody else's is under way."""
    desk, calls = Desk(), []
    desk.arrive(b"bad", b"behind")
    desk.arrive(*(b"%d" % n for n in range(50)), stream=OTHER)

    def handler(message):
        calls.append(message.payload)
        if message.payload == b"bad" and calls.count(b"bad") == 1:
            raise ValueError
        if message.payload == b"20":
            desk.incoming.unpark(STREAM)

    async with Running(desk, handler, patience(backoff_s_min=1e6, backoff_s_max=1e6)):
        await until(lambda: desk.incoming.handled_count == 52)
    assert [b"20", b"bad", b"behind", b"21"] == calls[21:25]
    assert [b"%d" % n for n in range(50)] == [c for c in calls if c.isdigit()]


@live
async def test_without_room_to_set_aside_the_message_is_tried_on(caplog):
    desk, program = Desk(aside_messages_max=1), Program(bad=99, worse=6)
    desk.arrive(b"bad", b"worse", b"behind")
    desk.arrive(b"1", stream=OTHER)
    async with Running(desk, program):
        await until(lambda: desk.incoming.handled_count == 3)
    assert 7 == program.calls.count(b"worse")
    assert program.calls.index(b"behind") > 6 + program.calls.index(b"worse")
    assert [b"bad"] == [entry.message.payload for entry in desk.aside]
    assert "set aside: no room" in caplog.text


@live
async def test_room_that_is_made_is_used_at_the_next_attempt():
    desk, program = Desk(aside_messages_max=1), Program(bad=99, worse=99)
    desk.arrive(b"bad", b"worse", b"behind")
    async with Running(desk, program):
        await until(lambda: program.calls.count(b"worse") > 4)
        desk.aside.discard(next(iter(desk.aside)).message)
        await until(lambda: desk.incoming.handled_count == 1)
    assert [b"worse"] == [entry.message.payload for entry in desk.aside]


@live
async def test_a_handler_may_say_early_what_becomes_of_its_message(caplog):
    desk = Desk()
    desk.arrive(b"done", b"aside", b"raises", b"last")

    def handler(message):
        if message.payload in (b"done", b"raises"):
            desk.incoming.finish(message)
        if message.payload == b"aside":
            desk.aside.add(message, "by hand")
        if message.payload == b"raises":
            raise ValueError("too late")

    async with Running(desk, handler):
        await until(lambda: desk.incoming.handled_count == 3)
    assert ["by hand"] == [entry.words for entry in desk.aside]
    assert "after it had finished with alice/a→bob#3: ValueError: too late" in caplog.text


@live
async def test_a_run_that_is_cancelled_leaves_its_message_to_the_next_one():
    desk = Desk()
    desk.arrive(b"1")
    begun = asyncio.Event()

    async def handler(message):
        begun.set()
        await asyncio.Event().wait()

    async with Running(desk, handler):
        await begun.wait()
    assert 0 == desk.incoming.handled_count
    assert b"1" == (await anext(desk.incoming.read())).payload


@live
async def test_what_is_no_error_of_the_program_ends_the_run():
    desk = Desk()
    desk.arrive(b"1")

    def handler(message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await desk.handling.run(handler, patience())
    assert 0 == len(desk.aside)
    assert b"1" == (await anext(desk.incoming.read())).payload


@live
async def test_a_new_iteration_ends_the_run_and_finds_everything():
    desk, program = Desk(), Program(bad=99)
    desk.arrive(b"bad", b"behind")
    async with Running(desk, program, patience(9**9)) as task:
        await until(lambda: len(program.calls) > 1)
        reader = desk.incoming.read()
        with pytest.raises(udpim.LocalProtocolError, match="another iteration"):
            await task
        desk.incoming.unpark(STREAM)  # as a timer of the old run does that comes late
        assert [b"bad", b"behind"] == [(await anext(reader)).payload for _ in range(2)]


@live
async def test_the_end_of_the_client_ends_the_run():
    desk, program = Desk(), Program(bad=99)
    desk.arrive(b"bad", b"behind")
    async with Running(desk, program, patience(9**9)) as task:
        await until(lambda: len(program.calls) > 1)
        desk.incoming.end(None)
        assert await task is None
    failed = Desk()
    failed.incoming.end(udpim.LoginError(3, "replaced"))
    with pytest.raises(udpim.LoginError):
        await failed.handling.run(program, patience())


@live
async def test_a_reason_that_cannot_be_told_does_no_harm():
    class Mute(Exception):
        def __str__(self):
            raise ValueError

    desk = Desk()
    desk.arrive(b"bad")

    def handler(message):
        raise Mute

    async with Running(desk, handler, patience(0)):
        await until(lambda: len(desk.aside) == 1)
    assert "Mute" in next(iter(desk.aside)).words
