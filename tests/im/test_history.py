"""What settled messages showed is remembered within a limit, and never wrongly."""

from tests.im.helpers import EPOCH, STREAM, member
from tests.im.test_out_stream import FRESH, settle
from udpim.im.history import HISTORY_RUNS_MAX
from udpim.im.out_membership import learn_members
from udpim.im.out_stream import OutStream
from udpim.model import MessageState, RejectCode
from udpim.wire import im_packets as p

LAST = 4 * HISTORY_RUNS_MAX
VOID, DELIVERED, EXCUSED = MessageState.VOID, MessageState.DELIVERED, MessageState.EXCUSED
REJECTED, UNKNOWN = MessageState.REJECTED, MessageState.UNKNOWN


def stream(count=LAST):
    s = OutStream(STREAM, FRESH)
    s.append([0] * count, [b"x"] * count)
    s.committed = count
    learn_members(s, p.Members(1, None, True, EPOCH, 1, (member(0),)))
    return s


def void(s, seq):
    s.audience.view(0).take_void(seq, seq)
    s.refresh(seq, seq)


def runs(s):
    view = s.audience.view(0)
    tables = (s.delivered, s.void, s.cancelled, view.delivered, view.void, view.confirmed)
    return len(s.rejected) + sum(map(len, tables))


def shown(s, odd, even):
    """How many messages show what became of them; the others must claim nothing."""
    true = [seq for seq in range(1, LAST + 1) if s.state(seq) is (odd if seq % 2 else even)]
    assert {EXCUSED} >= {s.state(seq) for seq in set(range(1, LAST + 1)) - set(true)}
    assert true == list(range(LAST - len(true) + 1, LAST + 1)), "the latest are remembered"
    return len(true)


def test_voids_between_messages_are_remembered_up_to_a_limit():
    s = stream()
    for seq in range(1, LAST + 1, 2):
        settle(s, 0, seq, seq)
        void(s, seq + 1)
    assert LAST + 1 == s.floor
    assert runs(s) <= HISTORY_RUNS_MAX
    assert HISTORY_RUNS_MAX // 8 < shown(s, DELIVERED, VOID) < LAST
    again = OutStream(STREAM, s.record())
    assert shown(s, DELIVERED, VOID) == shown(again, DELIVERED, VOID)


def test_refusals_between_messages_are_remembered_up_to_a_limit():
    s = stream()
    for seq in range(1, LAST + 1, 2):
        s.close(seq, seq, RejectCode.TOO_LARGE)
        s.closing.remove(seq, seq)
        void(s, seq)
        settle(s, 0, seq + 1, seq + 1)
    assert runs(s) <= HISTORY_RUNS_MAX
    assert HISTORY_RUNS_MAX // 8 < shown(s, REJECTED, DELIVERED) < LAST


def test_long_runs_are_never_forgotten():
    s = stream()
    for seq in range(1, LAST + 1, 16):
        settle(s, 0, seq, seq + 15)
    assert LAST == shown(s, DELIVERED, DELIVERED)


def test_what_is_open_is_never_forgotten():
    s = stream()
    for seq in range(2, LAST + 1, 2):
        s.cancelled.add(seq, seq)
    settle(s, 0, 1, 1)
    assert 2 == s.floor
    assert LAST // 2 == len(s.cancelled)
    settle(s, 0, 2, 2)
    settle(s, 0, 3, 3)
    assert {UNKNOWN} == {s.state(seq) for seq in range(4, LAST + 1, 2)}
    assert DELIVERED is s.state(3)
