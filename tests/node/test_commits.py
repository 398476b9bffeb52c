"""One transaction for all that has gathered, and who waits for it."""

from udpim.node.commits import Commits


class Machine:
    """Something with operations, as far as commits look at it."""

    def __init__(self):
        self.ops = []
        self.stamp = 7
        self.marks = []
        self.committed = []

    def reached(self, stamp):
        self.marks.append(stamp)

    def take_ops(self):
        ops, self.ops = self.ops, []
        return ops

    def on_committed(self):
        self.committed.append("inbox")


def made():
    identity, outbox, inbox = Machine(), Machine(), Machine()
    told = inbox.committed
    commits = Commits(identity, outbox, inbox, lambda: told.append("outbox"))
    return commits, identity, outbox, inbox


def test_nothing_to_write_is_no_transaction():
    commits, identity, _, _ = made()
    assert commits.next() is None
    assert [7] == identity.marks


def test_identity_goes_before_outbox_and_outbox_before_inbox():
    commits, identity, outbox, inbox = made()
    inbox.ops, outbox.ops, identity.ops = ["i"], ["o"], ["me"]
    commit = commits.next()
    assert ("me", "o", "i") == commit.ops
    for waiter in commits.take_waiters(commit.token):
        waiter()
    assert ["outbox", "inbox"] == inbox.committed


def test_who_waits_is_told_of_the_transaction_that_held_its_rows_and_no_other():
    commits, _, outbox, inbox = made()
    outbox.ops = ["first"]
    first = commits.next()
    inbox.ops = ["second"]
    commits.waiters.append(lambda: inbox.committed.append("login"))
    second = commits.next()
    assert first.token != second.token
    for waiter in commits.take_waiters(second.token):
        waiter()
    assert ["login", "inbox"] == inbox.committed
    assert 1 == len(commits.take_waiters(first.token))


def test_after_a_transaction_that_failed_nothing_is_written_or_promised():
    commits, _, outbox, inbox = made()
    outbox.ops = ["row 1"]
    first = commits.next()
    outbox.ops, inbox.ops = ["row 2"], ["copy"]
    second = commits.next()
    assert commits.take_waiters(first.token)
    commits.fail()
    outbox.ops = ["row 3"]
    assert commits.next() is None
    assert () == commits.take_waiters(second.token)
