"""What is set aside, as an application sees it; what the inbox keeps is in tests/im."""

import pytest

import udpim
from tests.desk import Desk
from tests.runtime.helpers import live
from udpim import AsideFull, LocalProtocolError


async def first_set_aside(desk, words="why"):
    reader = desk.incoming.read()
    message = await anext(reader)
    desk.aside.add(message, words)
    return reader, message


@live
async def test_what_is_set_aside_is_listed_and_its_stream_goes_on():
    desk = Desk()
    desk.arrive(b"bad", b"good")
    reader, bad = await first_set_aside(desk)
    assert b"good" == (await anext(reader)).payload
    assert [(bad, "why")] == list(desk.aside)
    assert 1 == len(desk.aside)
    assert 1 == desk.wakes
    assert [] == desk.incoming.take_handled()


@live
async def test_it_survives_a_restart_and_the_reason_with_it():
    desk = Desk()
    desk.arrive(b"bad", b"good")
    _, bad = await first_set_aside(desk, "no\ncomma")
    desk.commit()
    again = desk.restart()
    assert [(bad, "no comma")] == list(again.aside)
    assert b"good" == (await anext(again.incoming.read())).payload


@live
async def test_a_retried_one_is_handed_out_after_what_waits():
    desk = Desk()
    desk.arrive(b"bad", b"good")
    reader, bad = await first_set_aside(desk)
    desk.aside.retry(bad)
    assert [] == list(desk.aside)
    assert [b"good", b"bad"] == [(await anext(reader)).payload for _ in range(2)]
    desk.incoming.finish(desk.incoming.current)
    desk.commit()
    assert 0 == desk.waiting == desk.restart().waiting


@live
async def test_a_retried_one_may_be_set_aside_again():
    desk = Desk()
    desk.arrive(b"bad")
    reader, bad = await first_set_aside(desk, "once")
    desk.aside.retry(bad)
    desk.aside.add(await anext(reader), "twice")
    desk.commit()
    assert [(bad, "twice")] == list(desk.restart().aside)


@live
async def test_a_discarded_one_is_handled():
    desk = Desk()
    desk.arrive(b"bad")
    _, bad = await first_set_aside(desk)
    desk.commit()
    desk.aside.discard(bad)
    assert [] == list(desk.aside)
    desk.commit()
    again = desk.restart()
    assert (0, 0, []) == (desk.waiting, again.waiting, list(again.aside))


@live
async def test_only_what_is_here_can_be_taken_from_here():
    desk = Desk()
    desk.arrive(b"bad")
    _, bad = await first_set_aside(desk)
    desk.aside.retry(bad)
    for take in (desk.aside.retry, desk.aside.discard):
        with pytest.raises(LocalProtocolError, match="alice/a→bob#1 is not set aside"):
            take(bad)
    assert 1 == desk.waiting


@live
async def test_only_the_message_handed_out_last_can_be_set_aside():
    desk = Desk()
    desk.arrive(b"1", b"2")
    reader = desk.incoming.read()
    first = await anext(reader)
    second = await anext(reader)
    with pytest.raises(LocalProtocolError, match="handed out last"):
        desk.aside.add(first, "late")
    desk.aside.add(second, "why")
    with pytest.raises(LocalProtocolError):
        desk.aside.add(second, "twice")
    assert [second] == [entry.message for entry in desk.aside]


@live
async def test_without_room_nothing_changes_and_the_message_waits():
    desk = Desk(aside_messages_max=1)
    desk.arrive(b"bad", b"worse")
    reader, _ = await first_set_aside(desk)
    worse = await anext(reader)
    with pytest.raises(AsideFull) as caught:
        desk.aside.add(worse, "why")
    assert (1, 3) == (caught.value.messages, caught.value.size_bytes)
    assert worse is desk.incoming.current
    assert 1 == len(desk.aside)


@live
async def test_all_that_is_found_can_be_discarded_on_the_way():
    desk = Desk()
    desk.arrive(b"1", b"2", b"3")
    reader = desk.incoming.read()
    for _ in range(3):
        desk.aside.add(await anext(reader), "why")
    for entry in desk.aside:
        desk.aside.discard(entry.message)
    assert 0 == len(desk.aside)


@live
async def test_after_the_end_everything_says_so():
    desk = Desk()
    desk.arrive(b"bad", b"good")
    reader, bad = await first_set_aside(desk)
    good = await anext(reader)
    desk.aside.end(udpim.ConnectionClosed(0, "the client was closed"))
    for attempt in (
        lambda: desk.aside.add(good, "late"),
        lambda: desk.aside.retry(bad),
        lambda: desk.aside.discard(bad),
    ):
        with pytest.raises(udpim.ConnectionClosed):
            attempt()
    assert [bad] == [entry.message for entry in desk.aside], "it can still be looked at"
