"""When B asks for more of its offline queue."""

from udpim.im.pull import Pull


def test_nothing_is_asked_for_unasked():
    pull = Pull()
    assert not pull.take_request()
    assert not pull.complete()


def test_one_batch_at_a_time():
    pull = Pull()
    pull.ask()
    assert pull.take_request()
    pull.ask()
    assert not pull.take_request(), "the first batch is under way"
    pull.received(2, more=False)
    assert not pull.complete()
    pull.received(2, more=False)
    assert pull.complete()
    pull.next_batch()
    assert pull.take_request(), "it was asked for in the meantime"


def test_batch_that_says_more_asks_again_by_itself():
    pull = Pull()
    pull.ask()
    pull.take_request()
    pull.received(1, more=True)
    pull.next_batch()
    assert pull.take_request()
    pull.received(0, more=False)
    pull.next_batch()
    assert not pull.take_request()


def test_next_batch_waits_for_the_commit_of_all_that_the_present_one_brought():
    pull = Pull()
    pull.ask()
    pull.take_request()
    pull.go_on(7, 7)
    pull.received(1, more=True)
    pull.go_on(8, 7)
    assert not pull.take_request()
    pull.go_on(9, 8)
    assert pull.take_request(), "what was begun after the last part belongs to others"


def test_part_too_many_completes_nothing_twice():
    pull = Pull()
    pull.ask()
    pull.take_request()
    for _ in range(3):
        pull.received(1, more=False)
    assert pull.complete()
