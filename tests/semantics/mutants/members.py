"""Mutants of memberships: groups, the sender's own devices, leavers, reading (PROTOCOL §5)."""

from tests.semantics.mutants.mutant import mutant
from tests.semantics.mutants.places import OWN_DEVICES
from udpim.im import out_membership
from udpim.im.answers import Answers
from udpim.im.audience import Audience
from udpim.im.conversations import Conversations
from udpim.im.delivery import Delivery
from udpim.im.receiver import Inbox
from udpim.im.sender import Outbox
from udpim.im.tally import Pending
from udpim.model import MessageState
from udpim.ranges import RangeSet
from udpim.wire.im_packets import EpochRun

# --- Who leaves, and who comes ---


@mutant(
    "R5: a leaver voids its gaps and releases the rest",
    "tests/im/test_delivery.py::test_a_leaver_gives_up_its_gaps_and_releases_the_rest",
    item=11,
)
def leavers_gaps_are_not_closed(planting):
    @planting.replace(Inbox, "receive_gone")
    def receive_gone(original, self, id_, packet):
        pass


@mutant(
    "R5: a leaver is told that nothing more will come",
    "tests/im/test_delivery.py::test_a_leaver_is_told_for_each_stream_of_that_conversation",
    item=11,
)
def leaver_is_not_told(planting):
    @planting.replace(Delivery, "gone")
    def gone(original, self, session, stream):
        pass


@mutant(
    "R5: what waits for a leaver is deleted",
    "tests/im/test_memberships.py::test_what_waits_for_a_leaver_is_deleted_and_the_leaver_told",
)
def leavers_rows_stay(planting):
    @planting.replace(Delivery, "left")
    def left(original, self, endpoint):
        queue, self._queue = self._queue, _NoStreams()
        try:
            original(self, endpoint)
        finally:
            self._queue = queue


class _NoStreams:
    def streams(self, endpoint):
        return ()


@mutant(
    "R2: a message that nobody is due is stamped anew when somebody comes",
    f"{OWN_DEVICES}test_a_message_to_oneself_waits_for_another_device",
    "tests/im/test_sender.py::test_what_nobody_was_due_leaves_again_once_somebody_comes",
)
def message_for_nobody_stays_so(planting):
    @planting.replace(out_membership, "restamp")
    def restamp(original, runs, somebody, epoch):
        if not runs or runs[0].epoch:
            return None
        runs[:] = [EpochRun(runs[0].first, epoch)]
        return runs[0].first


@mutant(
    "R2: who sends to nobody is told who belongs",
    "tests/im/test_router.py::test_a_message_that_is_due_to_nobody_tells_its_sender_who_belongs",
)
def nobody_is_no_news(planting):
    @planting.replace(Answers, "members")
    def members(original, self, sender, stream, *, again=False):
        original(self, sender, stream)


# --- What is shown ---


@mutant(
    "§5.1: the sender's own devices have no say",
    f"{OWN_DEVICES}test_their_verdict_never_makes_a_message_delivered",
    "tests/im/test_sender.py::test_the_senders_other_devices_show_nothing",
)
def own_devices_verdict_is_shown(planting):
    @planting.replace(Audience, "counts")
    def counts(original, self, view):
        return True


@mutant(
    "semantics §1: the sender's other devices get a copy",
    f"{OWN_DEVICES}test_they_get_everything_once_in_order_with_the_recipient_as_conversation[0.0]",
)
def own_devices_get_nothing(planting):
    @planting.replace(Conversations, "present")
    def present(original, self, stream):
        lines = original(self, stream)
        return [line for line in lines if line.user != stream.user]


@mutant(
    "§5.1: a group has a message when every user has it",
    "tests/im/test_tally_intake.py::test_a_group_shows_delivered_when_every_user_has_it",
    "tests/im/test_audience.py::test_a_group_waits_for_every_user[verdicts0-holds0]",
)
def group_shows_delivered_when_one_user_has_it(planting):
    @planting.replace(Audience, "judge")
    def judge(original, self, epoch, first, last):
        judgement = original(self, epoch, first, last)
        if judgement is None or not self.group:
            return judgement
        views = [view for view in self.views if view.due(epoch) and self.counts(view)]
        has = RangeSet(part for view in views for part in view.delivered.within(first, last))
        has.update(judgement.delivered)
        decided = RangeSet(judgement.decided)
        decided.update(has)
        return judgement._replace(delivered=list(has), decided=list(decided))


# --- Tallies ---


@mutant(
    "R7: a tally from before a new incarnation is not about it",
    "tests/im/test_tally_intake.py"
    "::test_a_tally_from_before_a_new_incarnation_is_not_about_it[4-False]",
    item=15,
)
def tally_is_taken_whatever_its_as_of(planting):
    @planting.replace(Outbox, "receive_tally")
    def receive_tally(original, self, stream, packet):
        original(self, stream, packet._replace(as_of=2**32 - 1))


@mutant(
    "R7: what an older incarnation said is not told once there is a newer one",
    "tests/im/test_memberships.py::test_what_an_older_incarnation_said_is_not_told_any_more[9-told1]",
    item=15,
)
def tally_outlives_the_incarnation(planting):
    @planting.replace(Pending, "forget")
    def forget(original, self, ordinal):
        pass


# --- Reading ---


@mutant(
    "I4: READ never falls",
    "tests/im/test_out_stream.py::test_what_was_read_stays_so_under_another_store",
)
def read_falls(planting):
    @planting.replace(out_membership, "read_changes")
    def read_changes(original, stream):
        before, stream.read_up_to = stream.read_up_to, stream.audience.read_up_to()
        if stream.read_up_to <= before:
            return []
        new = stream.delivered.within(before + 1, stream.read_up_to)
        return [(first, last, MessageState.READ) for first, last in new]
