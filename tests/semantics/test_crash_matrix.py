"""The loss and crash matrix (PROTOCOL §7): every row as one scenario in virtual time.

Each row ends with all faults healed: then everything must settle in the time of I14, the oracle
must find nothing, and the network must fall silent.
"""

import pytest

from tests.semantics.situations import FOUR, ROUTED, finish, got, met, payloads
from udpim.im.records import (
    PutInbox,
    PutMeta,
    PutOutbox,
    PutOutStream,
    PutQueue,
    PutReceipt,
)

YEAR_S = 365 * 86400.0
DELIVERED = {"DELIVERED"}


def shown(client, sent):
    return set(client.states(sent))


def a_dies_before_the_outbox_commit(seed):
    world, alice, bob = met(seed)
    alice.store.on_submit(PutOutbox, alice.crash)
    before = len(world.history.sends)
    world.clock.call_later(0, lambda: alice.send("bob", b"never said"))
    with_crash = world.run(1)
    assert with_crash is None
    assert not alice.up
    alice.start()
    world.online()
    again = alice.send("bob", b"said")
    finish(world)
    accepted = [send.payload for send in world.history.sends.values() if send.accepted]
    assert [b"hello", b"said"] == accepted
    assert len(world.history.sends) <= before + 2
    assert [b"hello", b"said"] == got(world, bob)
    assert shown(alice, again) == DELIVERED


def a_dies_after_the_outbox_commit_before_the_first_transmission(seed):
    world, alice, bob = met(seed)
    alice.store.on_durable(PutOutbox, alice.crash)
    world.clock.call_later(0, lambda: alice.send("bob", b"one"))
    world.run(60)
    assert got(world, bob) == [b"hello"]
    assert not alice.up
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def a_dies_after_the_first_transmission(seed):
    world, alice, bob = met(seed)
    world.network.intercept("msg:R", source="alice", drop=False, then=alice.crash)
    sent = alice.send("bob", payloads(20))
    world.run(10)
    assert not alice.up
    alice.start()
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(20)]
    assert shown(alice, sent) == DELIVERED


def msg_r_is_lost(seed):
    world, alice, bob = met(seed)
    lost = world.network.intercept("msg:R", copies=None)
    sent = alice.send("bob", b"one")
    world.run(10)
    assert lost.dropped > 3, "the hop tries again"
    assert shown(alice, sent) == {"PENDING"}
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def s_dies_on_msg_r(seed):
    world, alice, bob = met(seed)
    server = world.server()
    world.network.intercept("msg:N", then=server.crash)
    sent = alice.send("bob", b"one")
    world.run(5)
    assert not server.up
    assert shown(alice, sent) <= {"PENDING", "ACCEPTED"}
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def msg_a_is_lost(seed):
    world, alice, bob = met(seed)
    lost = world.network.intercept("msg:A", copies=range(1, 6))
    sent = alice.send("bob", b"one")
    world.run(20)
    assert lost.dropped >= 1
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]
    assert shown(alice, sent) == DELIVERED


def s_dies_after_msg_a_before_msg_n(seed):
    """The classic bug clears the outbox here."""
    world, alice, bob = met(seed)
    server = world.server()
    world.network.intercept("msg:N", copies=None)
    sent = alice.send("bob", payloads(5))
    world.run_until(lambda: shown(alice, sent) == {ROUTED})
    server.crash()
    world.run(1)
    assert got(world, bob) == [b"hello"]
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(5)]


def msg_n_is_lost(seed):
    world, alice, bob = met(seed)
    lost = world.network.intercept("msg:N", copies=None)
    sent = alice.send("bob", b"one")
    world.run(10)
    assert lost.dropped > 3, "the hop tries again"
    assert shown(alice, sent) <= {"PENDING", "ACCEPTED"}
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def msg_n_is_lost_until_the_session_ends(seed):
    world, alice, bob = met(seed)
    world.network.cut_one_way("server", bob.host)
    sent = alice.send("bob", b"one")
    world.run(120)
    assert shown(alice, sent) == {"STORED"}
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def b_dies_before_its_commit(seed):
    world, alice, bob = met(seed)
    bob.store.on_submit(PutInbox, bob.crash)
    sent = alice.send("bob", b"one")
    world.run(1)
    assert not bob.up
    assert shown(alice, sent) <= {"PENDING", "ACCEPTED"}
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def b_dies_after_the_commit_before_ack_r(seed):
    world, alice, bob = met(seed)
    bob.store.on_durable(PutInbox, bob.crash)
    sent = alice.send("bob", b"one")
    world.run(1)
    assert not bob.up
    assert got(world, bob) == [b"hello"]
    assert shown(alice, sent) <= {"PENDING", "ACCEPTED"}
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]
    assert all(len(orders) == 1 for orders in world.history.commits.values())


def ack_r_is_lost_and_b_dies(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:R", then=bob.crash)
    alice.send("bob", b"one")
    world.run(1)
    assert not bob.up
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def s_dies_before_relaying_ack_r(seed):
    world, alice, bob = met(seed)
    server = world.server()
    world.network.intercept("ack:N", then=server.crash)
    sent = alice.send("bob", b"one")
    world.run(1)
    assert not server.up
    assert shown(alice, sent) <= {"PENDING", "ACCEPTED"}
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def ack_a_is_lost(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:A", copies=None)
    sent = alice.send("bob", b"one")
    world.run(1)
    assert shown(alice, sent) == DELIVERED
    bob.restart()
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def ack_n_is_lost_and_a_is_away_for_a_week(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:N", copies=None, then=lambda: alice.up and alice.crash())
    sent = alice.send("bob", b"one")
    world.run(40)
    assert not alice.up
    bob.crash()
    world.server().crash()
    world.run(7 * 86400)
    world.server().start()
    alice.start()
    world.network.heal()
    world.settle(10)
    assert shown(alice, sent) == DELIVERED, "the receipt row knows it while bob is away"
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def ack_n_is_lost_and_s_has_no_receipt_row(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:N", then=world.server().crash)
    sent = alice.send("bob", b"one")
    world.run(1)
    alice.crash()
    world.server().start()
    world.run(40)
    alice.start()
    finish(world)
    assert shown(alice, sent) == DELIVERED
    assert got(world, bob) == [b"hello", b"one"]


def a_dies_before_recording_ack_n(seed):
    world, alice, bob = met(seed)
    sent = alice.send("bob", b"one")
    world.run(0.03)
    alice.store.on_submit(PutOutStream, alice.crash)
    world.run(5)
    assert not alice.up
    alice.start()
    finish(world)
    assert shown(alice, sent) == DELIVERED
    assert got(world, bob) == [b"hello", b"one"]


def s_dies_after_the_queue_s_fsync_before_stored(seed):
    world, alice, bob = met(seed)
    server = world.server()
    bob.close()
    world.run(1)
    server.store.on_durable(PutQueue, server.crash)
    sent = alice.send("bob", b"one")
    world.run(1)
    assert not server.up
    assert shown(alice, sent) <= {"PENDING", "ACCEPTED"}
    server.start()
    world.settle(stored=True)
    assert shown(alice, sent) == {"STORED"}
    bob.restart()
    finish(world)
    assert got(world, bob) == [b"hello", b"one"]


def s_loses_its_memory(seed):
    world, alice, bob = met(seed)
    sent = alice.send("bob", payloads(300))
    for _ in range(3):
        world.run(0.03)
        world.server().restart()
    finish(world)
    assert shown(alice, sent) == DELIVERED
    assert got(world, bob) == [b"hello", *payloads(300)]


def s_loses_its_disk(seed):
    world, alice, bob = met(seed)
    bob.close()
    world.run(1)
    bob.crash()
    sent = alice.send("bob", payloads(50))
    world.settle(stored=True)
    assert shown(alice, sent) == {"STORED"}
    world.server().lose_disk()
    world.run_until(lambda: shown(alice, sent) == {"PENDING"})
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(50)]
    assert shown(alice, sent) == DELIVERED


def b_loses_its_disk(seed):
    world, alice, bob = met(seed)
    bob.handle_after_s = None
    delivered = alice.send("bob", payloads(10, "old"))
    world.settle()
    world.run(5)
    world.network.intercept("msg:N", copies=None)
    pending = alice.send("bob", payloads(10, "new"))
    world.run(1)
    bob.handle_after_s = 0.0
    bob.lose_disk()
    finish(world)
    assert shown(alice, delivered) == shown(alice, pending) == DELIVERED
    assert got(world, bob) == [b"hello", *payloads(10, "old"), *payloads(10, "new")]


def b_loses_its_disk_with_receipts_on_their_way(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:N", copies=None)
    sent = alice.send("bob", payloads(10))
    world.run(1)
    assert got(world, bob) == [b"hello", *payloads(10)]
    world.server().crash()
    bob.lose_disk()
    finish(world)
    assert shown(alice, sent) == DELIVERED
    assert got(world, bob) == [b"hello", *payloads(10), *payloads(10)], "one commit per inbox"


def a_loses_its_disk(seed):
    world, alice, bob = met(seed)
    world.network.intercept("msg:N", copies=None)
    old = alice.send("bob", payloads(5, "old"))
    world.run(1)
    alice.lose_disk()
    new = alice.send("bob", payloads(5, "new"))
    assert new.stream.incarnation != old.stream.incarnation
    finish(world)
    assert shown(alice, new) == DELIVERED
    received = got(world, bob)
    assert [p for p in received if p.startswith(b"new")] == payloads(5, "new")
    assert len(received) == len(set(received)), "old copies are delivered once at most"


def a_restores_an_old_disk(seed):
    world, alice, bob = met(seed)
    backup = alice.back_up()
    alice.restart()
    world.online()
    old = alice.send("bob", payloads(5, "old"))
    world.settle()
    alice.restore(backup)
    world.run(1)
    world.online()
    new = alice.send("bob", payloads(5, "new"))
    assert new.stream.incarnation != old.stream.incarnation
    finish(world)
    assert shown(alice, new) == DELIVERED
    assert got(world, bob) == [b"hello", *payloads(5, "old"), *payloads(5, "new")]


def a_restores_a_disk_copied_within_the_same_session(seed):
    world, alice, bob = met(seed)
    backup = alice.back_up()
    alice.send("bob", payloads(5, "old"))
    world.settle()
    alice.restore(backup)
    world.run(1)
    world.online()
    new = alice.send("bob", payloads(5, "new"))
    finish(world)
    assert shown(alice, new) == DELIVERED
    assert got(world, bob) == [b"hello", *payloads(5, "old"), *payloads(5, "new")]


def a_restores_an_old_disk_and_writes_before_it_is_online(seed):
    world, alice, bob = met(seed)
    backup = alice.back_up()
    alice.restart()
    world.online()
    alice.send("bob", payloads(5, "old"))
    world.settle()
    alice.restore(backup)
    new = alice.send("bob", payloads(5, "new"))
    finish(world)
    assert shown(alice, new) == DELIVERED
    assert got(world, bob) == [b"hello", *payloads(5, "old"), *payloads(5, "new")]


def a_restores_an_old_disk_writes_before_it_is_online_and_dies(seed):
    world, alice, bob = met(seed)
    backup = alice.back_up()
    alice.restart()
    world.online()
    alice.send("bob", payloads(5, "old"))
    world.settle()
    alice.restore(backup)
    world.server().crash()
    world.run(1)
    new = alice.send("bob", payloads(5, "new"))
    world.run(1)
    for _ in range(2):
        alice.restart()
        world.run(1)
    world.server().start()
    finish(world)
    assert shown(alice, new) == DELIVERED
    assert got(world, bob) == [b"hello", *payloads(5, "old"), *payloads(5, "new")]


def a_writes_before_it_is_online_and_dies(seed):
    """An honest store: what never left keeps its msgid, and its inbox its incarnation."""
    world, alice, bob = met(seed)
    incarnation = alice.node.outbox.incarnation
    world.server().crash()
    alice.restart()
    sent = alice.send("bob", payloads(5))
    world.run(1)
    alice.restart()
    world.server().start()
    world.online()
    alice.restart()
    finish(world)
    assert shown(alice, sent) == DELIVERED
    assert alice.node.outbox.incarnation == incarnation
    assert got(world, bob) == [b"hello", *payloads(5)]


def b_flaps_with_a_push_in_flight_that_is_queued_and_pulled(seed):
    world, alice, bob = met(seed)
    server = world.server()
    world.network.intercept("msg:N", copies=None)
    sent = alice.send("bob", payloads(30))
    world.run(0.2)
    pushed = [c for c in world.network.trace if "msg:N" in c.content.labels]
    bob.rebind()
    bob.restart()
    server.store.on_durable(PutQueue, lambda: None)
    world.online()
    for crossing in pushed:
        world.network.replay(crossing, delay_s=0.05)
    world.network.heal()
    world.run(0.5)
    for crossing in pushed:
        world.network.replay(crossing)
    finish(world)
    assert shown(alice, sent) == DELIVERED
    assert got(world, bob) == [b"hello", *payloads(30)]


def the_sender_gives_up_while_a_copy_is_in_flight(seed):
    world, alice, bob = met(seed)
    sent = alice.send("bob", b"one")
    world.run(0.03)
    alice.cancel(sent)
    assert shown(alice, sent) == {"UNKNOWN"}
    finish(world)
    assert shown(alice, sent) == DELIVERED, "a commit at bob wins"
    assert got(world, bob) == [b"hello", b"one"]


def the_sender_gives_up_while_every_copy_is_lost(seed):
    world, alice, bob = met(seed)
    world.network.intercept("msg:N", copies=None)
    sent = alice.send("bob", b"one")
    world.run(0.1)
    alice.cancel(sent)
    assert shown(alice, sent) == {"UNKNOWN"}, "only bob says VOID"
    world.run(0.3)
    assert shown(alice, sent) == {"VOID"}
    after = alice.send("bob", b"after")
    finish(world)
    assert shown(alice, sent) == {"VOID"}
    assert shown(alice, after) == DELIVERED
    assert got(world, bob) == [b"hello", b"after"]


def the_sender_gives_up_while_a_copy_is_queued(seed):
    world, alice, bob = met(seed)
    bob.close()
    world.run(1)
    bob.crash()
    sent = alice.send("bob", payloads(3))
    world.settle(stored=True)
    alice.cancel(sent)
    world.run(30)
    assert shown(alice, sent) == {"UNKNOWN"}, "only bob says VOID"
    kept = alice.send("bob", b"kept")
    bob.start()
    finish(world)
    assert shown(alice, sent) == {"VOID"}
    assert shown(alice, kept) == DELIVERED
    assert got(world, bob) == [b"hello", b"kept"]


def clocks_jump_by_a_year(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:N", copies=(1, 2))
    first = alice.send("bob", payloads(5, "a"))
    world.run(0.05)
    alice.wall_skew_ms -= int(YEAR_S * 1000)
    second = alice.send("bob", payloads(5, "b"))
    bob.jump_clock(YEAR_S)
    world.run(0.05)
    alice.jump_clock(YEAR_S)
    world.server().jump_clock(YEAR_S)
    alice.wall_skew_ms += 2 * int(YEAR_S * 1000)
    third = alice.send("bob", payloads(5, "c"))
    finish(world)
    for sent in (first, second, third):
        assert shown(alice, sent) == DELIVERED
    assert got(world, bob) == [b"hello", *payloads(5, "a"), *payloads(5, "b"), *payloads(5, "c")]


def a_receipt_for_an_absent_sender_waits_for_its_row(seed):
    world, alice, _ = met(seed)
    server = world.server()
    world.network.intercept("ack:R", copies=None)
    sent = alice.send("bob", b"one")
    world.run(0.1)
    alice.crash()
    world.run(40)
    server.store.on_submit(PutReceipt, server.crash)
    world.network.heal()
    world.run(40)
    assert not server.up
    finish(world)
    assert shown(alice, sent) == DELIVERED


def a_dies_between_login_count_and_login(seed):
    world, alice, bob = met(seed)
    alice.crash()
    alice.start()
    alice.store.on_durable(PutMeta, alice.crash)
    world.run(1)
    assert not alice.up
    alice.start()
    world.online()
    sent = alice.send("bob", b"one")
    finish(world)
    assert shown(alice, sent) == DELIVERED
    assert got(world, bob) == [b"hello", b"one"]


ROWS = [
    a_dies_before_the_outbox_commit,
    a_dies_after_the_outbox_commit_before_the_first_transmission,
    a_dies_after_the_first_transmission,
    msg_r_is_lost,
    s_dies_on_msg_r,
    msg_a_is_lost,
    s_dies_after_msg_a_before_msg_n,
    msg_n_is_lost,
    msg_n_is_lost_until_the_session_ends,
    b_dies_before_its_commit,
    b_dies_after_the_commit_before_ack_r,
    ack_r_is_lost_and_b_dies,
    s_dies_before_relaying_ack_r,
    ack_a_is_lost,
    ack_n_is_lost_and_a_is_away_for_a_week,
    ack_n_is_lost_and_s_has_no_receipt_row,
    a_dies_before_recording_ack_n,
    a_receipt_for_an_absent_sender_waits_for_its_row,
    s_dies_after_the_queue_s_fsync_before_stored,
    s_loses_its_memory,
    s_loses_its_disk,
    b_loses_its_disk,
    b_loses_its_disk_with_receipts_on_their_way,
    a_loses_its_disk,
    a_restores_an_old_disk,
    a_restores_a_disk_copied_within_the_same_session,
    a_restores_an_old_disk_and_writes_before_it_is_online,
    a_restores_an_old_disk_writes_before_it_is_online_and_dies,
    a_writes_before_it_is_online_and_dies,
    a_dies_between_login_count_and_login,
    b_flaps_with_a_push_in_flight_that_is_queued_and_pulled,
    the_sender_gives_up_while_a_copy_is_in_flight,
    the_sender_gives_up_while_every_copy_is_lost,
    the_sender_gives_up_while_a_copy_is_queued,
    clocks_jump_by_a_year,
]


if FOUR:
    ROWS.remove(msg_a_is_lost)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__.replace("_", " "))
def test_matrix(row, seed):
    row(seed)
