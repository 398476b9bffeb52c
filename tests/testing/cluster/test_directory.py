"""A virtual directory does what the real one does, slowly and with failures that are ordered."""

import pytest

from udpim.cluster.directory import Lease
from udpim.cluster.sqlite_directory import SQLiteDirectory
from udpim.errors import StoreError, StoreLocked
from udpim.testing.choices import Choices
from udpim.testing.clock import VirtualClock
from udpim.testing.cluster.directory import CALL_S, LOCK_WAIT_S, VirtualDirectory
from udpim.testing.cluster.routine import Routine

LABEL = "s1: directory"
SLOW, HELD, FAILED, FAILED_LATE = 4 * 100, 1, 2, 3


@pytest.fixture(params=["virtual", "real"])
def directory(request, tmp_path):
    if request.param == "virtual":
        yield VirtualDirectory(Choices(1))
    else:
        directory = SQLiteDirectory(str(tmp_path))
        yield directory
        directory.close()


def test_a_lease_is_claimed_renewed_and_given_back(directory):
    assert directory.look() is None
    lease = directory.claim("s1", None)
    assert Lease("s1", 1, 0) == lease == directory.look()
    lease = directory.renew(lease)
    assert Lease("s1", 1, 1) == lease == directory.look()
    directory.release(lease)
    assert Lease("", 1, 1) == directory.look()
    assert Lease("s2", 2, 0) == directory.claim("s2", directory.look())


def test_nobody_changes_what_is_not_as_he_saw_it(directory):
    lease = directory.claim("s1", None, 7)
    assert 7 == lease.epoch
    assert directory.claim("s2", None) is None
    taken = directory.claim("s2", lease)
    assert directory.renew(lease) is None
    directory.release(lease)
    assert taken == directory.look() == Lease("s2", 8, 0)


def asked(directory, call):
    """Ask as a process does; return what came of it, and when."""
    clock, answers = VirtualClock(), []

    async def ask():
        try:
            answers.append(await directory.ask("s1", call))
        except StoreError as error:
            answers.append(type(error))
        answers.append(round(clock.now, 6))

    Routine(clock, ask)
    clock.run_until(60.0)
    return answers


def troubled(fate):
    return VirtualDirectory(Choices(1, {LABEL: {0: fate}}), fails=1.0)


def test_a_call_takes_its_time():
    directory = VirtualDirectory(Choices(1))
    assert [Lease("s1", 1, 0), 2 * CALL_S] == asked(directory, lambda: directory.claim("s1", None))


@pytest.mark.parametrize(
    ("fate", "answer", "after_s", "happened"),
    [
        (SLOW, Lease("s1", 1, 0), 2 * CALL_S + 0.1, True),
        (HELD, StoreLocked, CALL_S + LOCK_WAIT_S, False),
        (FAILED, StoreError, CALL_S, False),
        (FAILED_LATE, StoreError, 2 * CALL_S, True),
    ],
)
def test_a_call_can_fail_and_may_have_happened(fate, answer, after_s, happened):
    directory = troubled(fate)
    assert [answer, round(after_s, 6)] == asked(directory, lambda: directory.claim("s1", None))
    assert happened == (directory.lease is not None)


def test_failures_come_as_often_as_was_said():
    choices = Choices(1)
    directory = VirtualDirectory(choices, fails=0.3)
    for _ in range(100):
        asked(directory, directory.look)
    assert 15 < len(choices.tape()[LABEL]) < 45
    directory.heal()
    assert [None, 2 * CALL_S] == asked(directory, directory.look)


def test_who_is_cut_off_does_not_reach_it():
    directory = VirtualDirectory(Choices(1))
    directory.cut("s1")
    assert [StoreLocked, CALL_S + LOCK_WAIT_S] == asked(directory, directory.look)
    directory.mend("s1")
    assert [None, 2 * CALL_S] == asked(directory, directory.look)


def test_a_lost_one_starts_empty_and_what_happened_is_counted():
    directory = VirtualDirectory(Choices(1))
    lease = directory.claim("s1", None)
    directory.claim("s2", None)
    directory.claim("s2", lease)
    assert {"rivals": 1, "takeovers": 1} == directory.counters
    directory.lose()
    assert directory.look() is None
