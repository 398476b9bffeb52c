"""Encryption costs one round trip, login included: data leaves with the end of the handshake."""

from udpim.model import MessageState
from udpim.testing import Profile, World

DELAY_S = 0.05
SENT = ("FINISH", "login", "msg:R")


def flights(crossings):
    """Who sent when, and what: one entry for each flight between alice and the server."""
    found = []
    for crossing in crossings:
        if {crossing.source[0], crossing.destination[0]} == {"alice/phone", "server"}:
            flight = (crossing.source[0], round(crossing.sent_at, 6))
            if not found or found[-1][:2] != flight:
                found.append((*flight, []))
            found[-1][2].extend(crossing.content.labels)
    return found


def until_accepted(seed, again):
    """All flights from the first HELLO to the first msg:A, after alice has been away."""
    world = World(seed, faults=Profile(delay_s=DELAY_S), sync_s=0.0)
    world.server()
    alice, _ = world.client("alice"), world.client("bob")
    world.online()
    alice.send("bob", b"before")
    world.settle()
    since = len(world.network.trace)
    again(alice)
    sent = alice.send("bob", b"after")
    accepted = world.network.intercept("msg:A", destination="alice", drop=False)
    world.run_until(lambda: accepted.seen > 0)
    told = flights(world.network.trace[since:])
    world.settle()
    assert MessageState.DELIVERED is alice.state(sent.msgids[0])
    return told[[labels for _, _, labels in told].index(["HELLO"]) :]


def test_after_a_pause_msg_a_comes_with_the_fourth_flight(seed):
    told = until_accepted(seed, lambda alice: alice.jump_clock(60.0))
    assert ["alice/phone", "server"] * 2 == [who for who, _, _ in told]
    begin = told[0][1]
    assert [0, 1, 2, 3] == [round((at - begin) / DELAY_S, 3) for _, at, _ in told]
    welcome, third, fourth = (labels for _, _, labels in told[1:])
    assert ["WELCOME"] == welcome
    assert ["FINISH", "login", "msg:R"] == [one for one in third if one in SENT]
    assert "msg:A" in fourth


def test_of_a_new_process_the_login_leaves_after_one_round_trip_and_messages_after_two(seed):
    # Its store may be an old copy: nothing may leave before the server has looked (PROTOCOL §5.8).
    told = until_accepted(seed, lambda alice: alice.restart())
    assert ["alice/phone", "server"] * 3 == [who for who, _, _ in told]
    begin = told[0][1]
    assert [0, 1, 2, 3, 4, 5] == [round((at - begin) / DELAY_S, 3) for _, at, _ in told]
    assert ["FINISH", "login"] == [one for one in told[2][2] if one in SENT]
    assert ["msg:R"] == [one for one in told[4][2] if one in SENT]
    assert "msg:A" in told[5][2]
