"""Who may say what: one test for each attack on identities, receipts, order and isolation.

Rows of the adversary table that are about the messaging of users who are logged in.
"""

import random

import pytest

from tests.node.net import Net, dialled, logged_in, msg
from tests.security import test_authority as authority
from tests.semantics.situations import got
from udpim.config import ServerConfig
from udpim.hop.codes import CloseCode, ConnectionState
from udpim.model import GroupAction, GroupCode, RejectCode
from udpim.node.effects import MaySend
from udpim.node.inspection import inspection_for
from udpim.testing import World
from udpim.testing.network import VirtualNetwork
from udpim.wire import im_packets as p
from udpim.wire.im_kinds import Kind

GUESSES = 10_000
RUN = (p.EpochRun(1, 1),)
NOT_ITS_STREAM = "receipt for somebody else's stream"
NOT_ITS_MARK = "read mark for somebody else's stream"


def texts(count, mark=b"m"):
    return [b"%s%d" % (mark, n) for n in range(count)]


def test_ten_thousand_guesses_at_a_msgid_hit_nothing():
    """Adversary table, "msgid forging / prediction": what is guessed right is not enough either."""
    rng = random.Random(7)
    net = Net()
    server = net.server(streams_per_session_max=2 * GUESSES)
    alice, bob = net.client("alice").online(), net.client("bob").online()
    stream, _ = alice.send("bob", *texts(3))
    net.run(1)
    true = stream.id
    mallory = logged_in(net, "mallory", "m")
    for handle in range(1, GUESSES + 1):
        near = true.incarnation ^ rng.getrandbits(64) if handle % 100 else true.incarnation
        named, seq = true._replace(incarnation=near), rng.randrange(1, 20)
        if handle % 2:
            mallory.send(p.AckR(handle, named, False, ((seq, seq),), ((seq + 1, seq + 1),)))
        else:
            mallory.send(p.ReadR(handle, named, seq))
        if not handle % 500:
            net.run(1)
    mallory.send(*(msg(seq, b"forged", handle=20_001, name=true) for seq in range(1, 21)))
    net.run(3)
    alice.send("bob", *texts(3))
    net.run(2)
    drops = server.node.router.drops
    assert GUESSES == drops[NOT_ITS_STREAM] + drops[NOT_ITS_MARK]
    from_alice = [
        payload
        for event in bob.events
        for run in getattr(event, "runs", ())
        for _, _, payload in run.messages
        if run.stream.user == "alice"
    ]
    assert texts(3) * 2 == from_alice
    assert ["DELIVERED"] * 6 == alice.by_seq()


def test_cross_user_injection_is_tried_with_every_field_of_every_packet():
    """Adversary table, "cross-user injection".

    `test_authority` tries each; here, that it knows them all.
    """
    for kind in Kind:
        declared = set(authority.declared(authority.im_schema.SCHEMAS[kind])) - {"kind"}
        assert declared == set(authority.TABLE[kind][1])
    assert 90 < sum(len(authority.identities(kind)) for kind in Kind)


# --- Receipts ---


def pending(net, server, alice):
    server.known.add("bob")
    return alice.online().send("bob", b"1")


def accepted(net, server, alice):
    bob = net.client("bob").online()
    alice.online()
    net.drop = lambda source, to, data: source == bob.address
    return alice.send("bob", b"1")


def stored(net, server, alice):
    net.client("bob").online().node.close(net.now)
    return alice.online().send("bob", b"1")


def delivered(net, server, alice):
    net.client("bob").online()
    return alice.online().send("bob", b"1")


def read(net, server, alice):
    bob = net.client("bob").online()
    stream, seq = alice.online().send("bob", b"1")
    net.run(1)
    bob.node.read(stream.id, seq)
    return stream, seq


def void(net, server, alice):
    """It is given up before it has left, so its cancel overtakes it."""
    net.client("bob").online()
    stream, seq = alice.send("bob", b"1")
    alice.settle()
    alice.node.outbox.cancel(stream, seq, seq)
    alice.online()
    return stream, seq


def rejected(net, server, alice):
    return alice.online().send("bob", b"1")


@pytest.mark.parametrize(
    "reach", [pending, accepted, stored, delivered, read, void, rejected], ids=lambda f: f.__name__
)
def test_a_third_one_moves_no_message_out_of_any_state(reach):
    """Adversary table, "receipt forging".

    Only the recipient's session may receipt, whatever the state.
    """
    net = Net()
    server = net.server()
    alice = net.client("alice")
    stream, seq = reach(net, server, alice)
    net.run(1)
    state = reach.__name__.upper()
    assert state == stream.state(seq).name
    mallory = logged_in(net, "mallory", "m")
    one = ((seq, seq),)
    for name in (stream.id, None):
        for pulled in (False, True):
            mallory.send(p.AckR(1, name, pulled, one, ()))
            mallory.send(p.AckR(1, name, pulled, (), one))
        mallory.send(p.ReadR(1, name, seq))
    net.run(2)
    assert state == stream.state(seq).name
    assert (8, 2) == tuple(server.node.router.drops[why] for why in (NOT_ITS_STREAM, NOT_ITS_MARK))


def test_a_stranger_learns_nothing_of_messages_between_others():
    """Adversary table, "receipt probing".

    No receipt to strangers, for known msgids or unknown ones.
    """
    net = Net()
    net.server()
    alice, bob = net.client("alice").online(), net.client("bob").online()
    stream, seq = alice.send("bob", b"1")
    net.run(1)
    mallory, events = logged_in(net, "mallory", "m"), len(alice.events)
    before = list(bob.got)
    for number, asked in enumerate((seq, seq + 1, 1_000), 1):
        named = stream.id._replace(conversation="alice" if number == 3 else "bob")
        mallory.send(p.StatusR(number, named, 1, RUN, ((asked, asked),)))
        mallory.send(p.AckR(10 + number, named, False, (), ()))
        net.run(1)
    told = [packet for packet in mallory.packets if isinstance(packet, p.AckN | p.Tally | p.ReadN)]
    assert [] == [packet for packet in told if packet.delivered or packet.void or packet.stored]
    assert [] == [packet for packet in mallory.of(p.StatusA) if packet.stored]
    assert {("mallory", "m")} >= {
        (packet.name.user, packet.name.device)
        for packet in mallory.packets
        if getattr(packet, "name", None) is not None
    }
    assert (before, events) == (bob.got, len(alice.events))


def test_ten_thousand_probes_by_message_meet_the_rate_limit():
    """Adversary table, "receipt probing": what asks a recipient's device is charged to who asks."""
    net = Net()
    server = net.server(user_messages_per_s_max=1, user_messages_burst_max=20)
    bob = net.client("bob").online()
    mallory = logged_in(net, "mallory", "m")
    mallory.send(msg(1, b"probe"))
    net.run(0.1)
    for seq in range(2, GUESSES + 1):
        mallory.send(msg(seq, b"probe"))
        if not seq % 500:
            net.run(0.1)
    net.run(2)
    assert len(bob.got) <= 20 + 6
    assert server.node.drops["message beyond its user's rate"] >= GUESSES - 26
    refused = {packet.code for packet in mallory.of(p.Refuse)}
    assert {RejectCode.RATE} == refused


def test_whom_may_send_keeps_out_gets_no_receipt_and_disturbs_nobody():
    """Adversary table, "receipt probing".

    A message that is not wanted is refused before it is routed.
    """
    net = Net()
    server = net.server()
    node = server.node
    inspection = inspection_for(node.router, node.config.limits, node._effects, [MaySend])
    node._inspection = node._dispatch._inspection = inspection
    server.executor._handlers[MaySend] = lambda effect: node.on_may_send(
        effect.token, net.now, allowed=effect.endpoint.user != "mallory"
    )
    bob = net.client("bob").online()
    mallory = logged_in(net, "mallory", "m")
    for seq in range(1, 51):
        mallory.send(msg(seq, b"probe"))
        net.run(0.05)
    assert ([], 0) == (bob.got, len(mallory.of(p.AckN) + mallory.of(p.Members)))
    assert {RejectCode.FORBIDDEN} == {packet.code for packet in mallory.of(p.Refuse)}


# --- Order ---


def newest_first(rng):
    held = [0]

    def delay_s(crossing):
        held[0] += 1
        return 0.4 - held[0] % 16 * 0.025

    return delay_s


def some_never_on_time(rng):
    return lambda crossing: 0.9 if rng.random() < 0.2 else 0.02


def each_when_it_likes(rng):
    return lambda crossing: rng.choice((0.01, 0.05, 0.2, 0.8)) * rng.random()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "adversary", [newest_first, some_never_on_time, each_when_it_likes], ids=lambda f: f.__name__
)
def test_whoever_schedules_the_network_does_not_change_the_order(adversary, seed, monkeypatch):
    """Adversary table, "order attack".

    Copies arrive as somebody wants who reads and holds every datagram.
    """
    rng = random.Random(f"{adversary.__name__} {seed}")
    world = World(f"order {seed}")
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    delay_s = adversary(rng)

    def cross(network, crossing):
        for _ in range(rng.choice((1, 1, 2))):
            network._arrive_after(crossing, delay_s(crossing))

    monkeypatch.setattr(VirtualNetwork, "_cross", cross)
    for turn in range(30):
        alice.send("bob", texts(5, b"a%d." % turn))
        bob.send("alice", texts(5, b"b%d." % turn))
        world.run(rng.random() * 0.2)
    world.run(10)
    monkeypatch.undo()
    world.heal_and_settle()
    world.oracle.check()
    for sender, mark, receiver in ((alice, b"a", bob), (bob, b"b", alice)):
        sent = [text for turn in range(30) for text in texts(5, b"%s%d." % (mark, turn))]
        assert sent == got(world, receiver), sender


# --- Isolation ---


def fill(net, server, users):
    for number, user in enumerate(users):
        action = GroupAction.JOIN if number else GroupAction.CREATE
        server.node.change_group(action, "#g", user, lambda ok: None)
        server.settle()


def test_a_group_has_a_largest_size_and_a_bomb_in_it_reaches_only_what_limits_let_it():
    """Adversary table, "oversized group, fan-out bomb, slow receiver, never-acking receiver"."""
    net = Net()
    server = net.server(queue_messages_max=50, session_messages_max=100)
    server.node.router.desk._users_max = 12
    names = [f"user{n}" for n in range(12)]
    clients = [net.client(name).online() for name in names[:10]]
    mute = logged_in(net, names[10], "d")
    net.client(names[11]).online().node.close(net.now)
    fill(net, server, names)
    extra = logged_in(net, "extra", "d")
    extra.send(p.GroupR(1, GroupAction.JOIN, "#g", ""))
    net.run(1)
    assert [GroupCode.FULL] == [answer.code for answer in extra.of(p.GroupA)]
    mute.takes = False  # it is there, and acks nothing that it is sent
    for turn in range(20):
        clients[0].send("#g", *texts(25, b"bomb%d." % turn))
        clients[1].send(names[2], b"quick %d" % turn)
        net.run(0.2)
        quick = [payload for payload in clients[2].got if payload.startswith(b"quick")]
        assert turn + 1 == len(quick), "nobody else waits for who is slow"
    net.run(60)
    bomb = [text for turn in range(20) for text in texts(25, b"bomb%d." % turn)]
    for client in clients[1:]:
        assert bomb == [payload for payload in client.got if payload.startswith(b"bomb")]
    queue = server.node.router.queue
    for name in names[10:]:
        assert 25 <= queue.count((name, "d")) <= 50 + 100 + 25, "queue, session, and one run"
    assert server.node.router.delivery.held.total() == 0


# --- Holding on ---


def test_who_never_logs_in_is_gone_in_time_and_was_given_no_room():
    """Attack 18, slowloris: a byte now and then does not keep a connection without a login."""
    net = Net()
    server = net.server()
    raws = [dialled(net, f"slow{n}") for n in range(20)]
    for raw in raws:
        raw.connection.send_frame(b"\x80" + bytes(2000), None, net.now, bulk=True)
    for _ in range(int(ServerConfig().login_s_max * 2)):
        for raw in raws:
            if raw.open:
                raw.connection.ping()
        net.run(0.5)
        open_ones = [c for c in server.node.connections() if c.state is ConnectionState.OPEN]
        assert 0 == sum(connection.reassembly_bytes for connection in open_ones)
    net.run(5)
    assert 0 == server.node.links
    assert {CloseCode.LOGIN_REFUSED} == {raw.connection.closed.code for raw in raws}


def test_who_is_logged_in_and_falls_silent_is_gone_in_time():
    """Attack 18, idle holding: what was begun and never ended goes with the connection."""
    net = Net()
    server = net.server()
    raw = logged_in(net)
    net.drop = lambda source, to, data: raw.address in (source, to)
    net.run(120)
    assert (0, 0) == (server.node.links, server.node.sizes()["sessions"])


# --- Across hops ---


def test_nobody_poisons_what_a_recipient_has_seen_of_another():
    """Attack 22, dedup poisoning: ids that are used before their owner uses them are others."""
    net = Net()
    net.server()
    alice, bob = net.client("alice").online(), net.client("bob").online()
    stream, _ = alice.send("bob", b"first")
    net.run(1)
    mallory = logged_in(net, "mallory", "m")
    runs = stream.head_runs()
    for seq in range(1, 12):
        poison = msg(seq, b"poison", handle=1, name=stream.id)
        mallory.send(poison._replace(runs=runs))
    mallory.send(p.CancelR(1, stream.id, 1, runs, ((1, 40),)))
    net.run(2)
    alice.send("bob", *texts(10))
    net.run(2)
    seen = [
        (run.stream.user, payload)
        for event in bob.events
        for run in getattr(event, "runs", ())
        for _, _, payload in run.messages
    ]
    assert [b"first", *texts(10)] == [payload for user, payload in seen if user == "alice"]
    assert {b"poison"} >= {payload for user, payload in seen if user == "mallory"}
    assert ["DELIVERED"] * 11 == alice.by_seq()


def test_no_relay_receipts_for_the_recipient_and_no_hop_ack_is_a_receipt():
    """Attack 22, app-ack forgery.

    A hop's ack, and a server's packet from a client, settle nothing.
    """
    net = Net()
    server = net.server()
    alice, mute = net.client("alice").online(), logged_in(net, "bob", "d")
    stream, seq = alice.send("bob", b"1")
    net.run(1)
    assert 1 == len(mute.of(p.MsgN)), "its hop has acked it"
    mallory = logged_in(net, "mallory", "m")
    one = ((seq, seq),)
    mallory.send(p.AckN(1, stream.id, 0, 1 << 63, 1, one, (), (), ()))
    mallory.send(p.Tally(1, stream.id, 1, 9, (p.TallyEntry(0, one, 0, 1),)))
    net.run(1)
    assert "ACCEPTED" == stream.state(seq).name
    assert "IM packet not acceptable now" in server.node.hop_totals().drops
    mute.send(p.AckR(1, stream.id, False, one, ()))
    net.run(1)
    assert "DELIVERED" == stream.state(seq).name
