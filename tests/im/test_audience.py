"""Whom messages are due to, and what verdicts amount to (PROTOCOL §5.1)."""

import pytest

from tests.im.helpers import DURABLE, GROUP, STREAM, member
from udpim.im.audience import Audience, Judgement
from udpim.model import Endpoint

PHONE, LAPTOP = member(0), member(2, "laptop", joined=2)
TABLET = member(1, "tablet", user="alice")
"""The sender's other device."""
CAROL = member(3, "c", user="carol")


def audience(*lines, stream=STREAM, epoch=9):
    some = Audience(stream, ())
    some.learn(lines, epoch, whole=True, same_store=True)
    return some


def said(some, ordinal, verdict, first=1, last=1):
    view = some.view(ordinal)
    if verdict == "delivered":
        view.delivered.add(first, last)
        view.confirmed.add(first, last)
    elif verdict == "stored":
        view.stored.add(first, last)
    elif verdict is not None:
        getattr(view, f"take_{verdict}")(first, last)


def judged(lines, verdicts, *, stream=STREAM, epoch=9):
    """The names of what holds of one message."""
    some = audience(*lines, stream=stream)
    for line, verdict in zip(lines, verdicts, strict=True):
        said(some, line.ordinal, verdict)
    judgement = some.judge(epoch, 1, 1)
    return {name for name in Judgement._fields if list(getattr(judgement, name)) == [(1, 1)]}


# --- What is shown ---


@pytest.mark.parametrize(
    ("verdicts", "holds"),
    [
        ((None, None), set()),
        (("delivered", None), {"decided", "delivered", "kept"}),
        (("delivered", "stored"), {"covered", "decided", "delivered", "kept"}),
        (("delivered", "void"), {"settled", "covered", "decided", "delivered", "kept"}),
        (("void", "void"), {"settled", "covered", "decided", "void", "kept"}),
        (("void", "excused"), {"settled", "covered", "decided", "kept"}),
        (("excused", "excused"), {"settled", "covered", "decided", "kept"}),
        (("void", None), set()),
        (("stored", None), {"kept"}),
    ],
)
@pytest.mark.parametrize("stream", [STREAM, GROUP], ids=["direct", "group"])
def test_a_user_has_what_one_of_the_devices_has(verdicts, holds, stream):
    assert holds == judged((PHONE, LAPTOP), verdicts, stream=stream)


@pytest.mark.parametrize(
    ("verdicts", "holds"),
    [
        (("delivered", None), set()),
        (("delivered", "stored"), {"covered", "kept"}),
        (("stored", "stored"), {"covered", "kept"}),
        (("delivered", "void"), {"settled", "covered", "decided", "delivered", "kept"}),
        (("delivered", "excused"), {"settled", "covered", "decided", "delivered", "kept"}),
        (("delivered", "delivered"), {"settled", "covered", "decided", "delivered", "kept"}),
        (("void", "void"), {"settled", "covered", "decided", "void", "kept"}),
        (("excused", "excused"), {"settled", "covered", "decided", "kept"}),
    ],
)
def test_a_group_waits_for_every_user(verdicts, holds):
    assert holds == judged((PHONE, CAROL), verdicts, stream=GROUP)


@pytest.mark.parametrize(
    ("verdicts", "holds"),
    [
        ((None, "delivered"), set()),
        (("delivered", None), {"decided", "delivered", "kept"}),
        (("delivered", "void"), {"settled", "covered", "decided", "delivered", "kept"}),
        (("void", "delivered"), {"settled", "covered", "decided", "void", "kept"}),
        (("void", None), {"decided", "void", "kept"}),
    ],
)
@pytest.mark.parametrize("stream", [STREAM, GROUP], ids=["direct", "group"])
def test_the_senders_other_devices_get_a_copy_and_have_no_say(verdicts, holds, stream):
    assert holds == judged((PHONE, TABLET), verdicts, stream=stream)


def test_in_a_message_to_oneself_the_other_devices_have_a_say():
    oneself = STREAM._replace(conversation="alice")
    assert "delivered" in judged((TABLET,), ("delivered",), stream=oneself)


@pytest.mark.parametrize("lines", [(), (TABLET,)])
def test_a_direct_message_waits_until_somebody_is_due_it(lines):
    some = audience(*lines)
    assert some.judge(9, 1, 1) is None
    assert not some.somebody(9)


def test_a_message_to_a_group_of_one_is_nobodys():
    assert {"settled", "covered", "decided", "kept"} == judged((), (), stream=GROUP)
    assert {"decided", "kept"} == judged((TABLET,), (None,), stream=GROUP)
    assert audience(stream=GROUP).somebody(9)


def test_nobody_is_due_what_has_no_epoch_yet():
    some = audience(stream=GROUP)
    assert some.judge(0, 1, 1) is None
    assert not some.somebody(0)


def test_who_came_later_is_not_waited_for():
    some = audience(PHONE, LAPTOP)
    said(some, 0, "void", 1, 2)
    assert [(1, 2)] == some.judge(1, 1, 2).settled
    assert [] == some.judge(2, 1, 2).settled


def test_ranges_are_judged_in_their_parts():
    some = audience(PHONE, CAROL, stream=GROUP)
    said(some, 0, "delivered", 1, 6)
    said(some, 3, "delivered", 3, 4)
    said(some, 3, "void", 5, 5)
    said(some, 3, "stored", 6, 8)
    judgement = some.judge(1, 1, 9)
    assert [(3, 5)] == judgement.settled == judgement.decided == judgement.delivered
    assert [(3, 6)] == judgement.covered == judgement.kept
    assert [] == judgement.void


# --- Membership ---


def test_lines_that_changed_are_taken_over_beside_the_others():
    some = audience(PHONE, CAROL, stream=GROUP, epoch=2)
    said(some, 0, "delivered")
    renewed, gone = some.learn(
        [PHONE._replace(incarnation=DURABLE | 9, renewed=5), LAPTOP],
        5,
        whole=False,
        same_store=True,
    )
    assert ([some.view(0)], []) == (renewed, gone)
    assert [3, 0, 2] == [view.ordinal for view in some.views]
    assert (DURABLE | 9, 5) == (some.view(0).incarnation, some.view(0).renewed)
    assert [(1, 1)] == list(some.view(0).delivered), "what to forget of it decides the stream"


def test_a_line_that_ended_is_excused():
    some = audience(PHONE, CAROL, stream=GROUP)
    some.learn([CAROL._replace(left=6)], 6, whole=False, same_store=True)
    some.excuse(1, 3)
    some.excuse(4, 3)
    assert [(1, 3)] == list(some.view(3).excused)
    assert [] == list(some.view(0).excused)
    assert (True, False) == (some.view(3).due(5), some.view(3).due(6))


def test_whoever_a_whole_membership_misses_has_left():
    some = audience(PHONE, CAROL, stream=GROUP)
    some.learn([PHONE], 6, whole=True, same_store=True)
    assert (0, 6) == (some.view(0).left, some.view(3).left)
    some.learn([PHONE], 7, whole=True, same_store=True)
    assert 6 == some.view(3).left, "it left once"


def test_another_stores_lines_are_found_by_their_endpoints():
    some = audience(PHONE, CAROL, stream=GROUP)
    said(some, 0, "delivered")
    phone = some.view(0)
    _, gone = some.learn([PHONE._replace(ordinal=7)], 1, whole=True, same_store=False)
    assert [Endpoint("carol", "c")] == [view.endpoint for view in gone]
    assert [phone] == some.views
    assert (phone, None) == (some.view(7), some.view(0))


def test_a_leaver_is_forgotten_once_nothing_that_was_due_to_it_is_open():
    some = audience(PHONE, CAROL, stream=GROUP)
    some.forget_below(99)
    assert 2 == len(some.views), "only leavers are"
    some.learn([PHONE], 6, whole=True, same_store=True)
    some.excuse(1, 3)
    some.forget_below(3)
    assert some.view(3) is not None
    some.forget_below(4)
    assert some.view(3) is None
    assert [PHONE.endpoint] == [view.endpoint for view in some.views]


def test_a_leaver_that_was_due_nothing_is_forgotten_at_once():
    some = audience(PHONE, CAROL, stream=GROUP)
    some.learn([PHONE], 6, whole=True, same_store=True)
    some.forget_below(1)
    assert some.view(3) is None


def test_endpoints_that_need_no_copy_are_bits_at_their_ordinals():
    some = audience(PHONE, LAPTOP, CAROL)
    said(some, 0, "delivered", 1, 4)
    said(some, 3, "stored", 3, 4)
    assert [0b1, 0b1001, 0] == [some.bitmap_of_covered(n, n) for n in (1, 3, 5)]
    alone = audience(PHONE)
    said(alone, 0, "delivered")
    assert 0 == alone.bitmap_of_covered(1, 1), "nobody else is spared a copy"


# --- Reading ---


def test_a_message_is_read_when_every_user_read_it_on_one_device():
    some = audience(PHONE, LAPTOP, CAROL, TABLET, stream=GROUP)
    some.view(0).read, some.view(2).read, some.view(1).read = 4, 7, 9
    assert 0 == some.read_up_to()
    some.view(3).read = 5
    assert 5 == some.read_up_to()
    some.view(3).left = 6
    assert 7 == some.read_up_to(), "who has left is not waited for"
    assert 0 == audience().read_up_to()


def test_an_audience_survives_its_record():
    some = audience(PHONE, CAROL, stream=GROUP)
    said(some, 3, "void", 2, 3)
    again = Audience(GROUP, some.record())
    assert some.record() == again.record()
    assert again.view(3).confirmed.within(1, 9) == [(2, 3)]
