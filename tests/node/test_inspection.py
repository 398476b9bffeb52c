"""Messages before may_send and on_message: what passes, what waits, what is refused."""

import random

import pytest

from tests.node.net import HOP, SERVER, DurableStore, Net, ServerHost
from tests.settings import settings
from udpim.config import STATUS_LEASE_S, ServerConfig
from udpim.node.effects import Inspect, MaySend, Verdicts
from udpim.node.events import MessagesRerouted
from udpim.node.inspection import MAY_SEND_S, PASSED_RUNS_MAX, _Lane
from udpim.node.server import ServerNode
from udpim.wire.im_codec import section_messages


class Inspecting(ServerHost):
    """A server whose hooks answer when the test lets them."""

    def __init__(self, net, *, may_send=False, on_message=False, **config):
        self.asks = [kind for kind, on in ((MaySend, may_send), (Inspect, on_message)) if on]
        self.asked = []
        self.open = []
        self.thinks = False
        self.may = lambda endpoint, conversation: True
        self.judge = lambda payload: "pass"
        super().__init__(net, DurableStore(), config)
        self.handlers |= {MaySend: self._take, Inspect: self._take}
        self.boot(self.store)
        net.add(SERVER, self)

    def boot(self, store):
        self.node = ServerNode(
            settings(ServerConfig, **self.config),
            store.load_server(),
            durable=store.durable,
            random_bytes=self.net.rng.randbytes,
            known_user=lambda user: user in self.known,
            hop_config=HOP,
            asks=self.asks,
        )
        self.start(self.node, store, self.handlers)

    def _take(self, effect):
        self.open.append(effect)
        if not self.thinks:
            self.decide()

    def decide(self, count=None):
        """Answer what was asked, or the first ``count`` of it."""
        now, self.open = self.open[:count], self.open[len(self.open[:count]) :]
        for effect in now:
            if isinstance(effect, MaySend):
                asked = (str(effect.endpoint), effect.conversation)
                self.asked.append(asked)
                allowed = self.may(*asked)
                self.node.on_may_send(effect.token, self.net.now, allowed=allowed)
                continue
            _, payloads = section_messages(effect.section)
            seqs = [seq for a, b in effect.ranges for seq in range(a, b + 1)]
            verdicts = {seq: self.judge(payloads[seq - effect.section.first]) for seq in seqs}
            self.asked += [payloads[seq - effect.section.first] for seq in seqs]
            lists = [[(s, s) for s in seqs if verdicts[s] == v] for v in ("reject", "fail")]
            rerouted = {}
            for seq, verdict in verdicts.items():
                if verdict not in ("pass", "reject", "fail"):
                    rerouted.setdefault(verdict, []).append((seq, seq))
            self.node.on_inspected(effect.token, Verdicts(*lists, rerouted), self.net.now)

    @property
    def waiting(self):
        sizes = self.node.sizes()
        return sizes["inspected_messages"], sizes["inspected_bytes"]

    @property
    def held(self):
        return self.node.router.delivery.held.total()


def pair(**options):
    net = Net()
    server = Inspecting(net, **options)
    bob, alice = net.client("bob").online(), net.client("alice").online()
    return net, server, bob, alice


def met(**options):
    """The same, and alice knows whom her messages to bob are due to."""
    net, server, bob, alice = pair(**options)
    alice.send("bob", b"hello")
    net.run(1)
    assert [b"hello"] == bob.got
    bob.got.clear()
    server.asked.clear()
    alice.states.clear()
    return net, server, bob, alice


def refusals(net, name="alice-d"):
    """Record what the server refuses from now on, as (code, ranges)."""
    client = net.hosts[name, 1].node
    told, take = [], client.outbox.receive_refuse

    def receive(packet):
        told.append((packet.code, packet.ranges))
        take(packet)

    client.outbox.receive_refuse = receive
    return told


# --- may_send ---


def test_who_may_not_write_is_rejected_and_the_hook_is_asked_once_a_minute():
    net, server, bob, alice = pair(may_send=True)
    carol = net.client("carol").online()
    server.may = lambda endpoint, conversation: conversation != "bob"
    alice.send("bob", b"1")
    net.run(1)
    alice.send("bob", b"2")
    alice.send("carol", b"to carol")
    net.run(1)
    assert ["REJECTED", "REJECTED", "DELIVERED"] == alice.shown()
    assert ([], [b"to carol"]) == (bob.got, carol.got)
    assert [("alice/d", "bob"), ("alice/d", "carol")] == server.asked
    server.may = lambda endpoint, conversation: True
    net.run(MAY_SEND_S)
    alice.send("bob", b"3")
    net.run(1)
    assert [b"3"] == bob.got
    assert ("alice/d", "bob") == server.asked[-1]
    assert ((0, 0), 0) == (server.waiting, server.held)


def test_what_comes_while_may_send_thinks_waits_in_order_and_is_accepted_afterwards():
    net, server, bob, alice = pair(may_send=True)
    server.thinks = True
    for payload in (b"1", b"2", b"3"):
        alice.send("bob", payload)
        net.run(0.1)
    assert (3, []) == (server.waiting[0], bob.got)
    assert server.held == server.waiting[1] > 0
    assert "ACCEPTED" not in alice.shown()
    server.decide()
    net.run(1)
    assert [b"1", b"2", b"3"] == bob.got
    assert [("alice/d", "bob")] == server.asked
    assert ((0, 0), 0) == (server.waiting, server.held)


def test_a_may_send_hook_that_cannot_tell_makes_the_sender_come_again():
    net, server, bob, alice = pair(may_send=True)
    told = refusals(net)
    server.may = lambda endpoint, conversation: None
    alice.send("bob", b"hi")
    net.run(1)
    assert [(4, ((1, 1),))] == told
    server.may = lambda endpoint, conversation: True
    net.run(60)
    assert [b"hi"] == bob.got
    assert ["DELIVERED"] == alice.shown()


# --- on_message ---


def test_a_rejected_message_leaves_a_run_and_the_others_go_on():
    net, server, bob, alice = met(on_message=True)
    server.judge = lambda payload: "reject" if payload == b"bad" else "pass"
    alice.send("bob", b"1", b"bad", b"3", b"bad", b"5")
    net.run(2)
    assert [b"1", b"3", b"5"] == bob.got
    assert ["DELIVERED", "REJECTED", "DELIVERED", "REJECTED", "DELIVERED"] == alice.by_seq()
    assert [b"1", b"bad", b"3", b"bad", b"5"] == server.asked
    assert 0 == alice.node.outbox.open_messages
    assert {} == server.node._inspection._lanes


def test_rejected_messages_next_to_each_other_are_refused_together():
    net, server, bob, alice = met(on_message=True)
    told = refusals(net)
    server.judge = lambda payload: {b"b": "reject", b"f": "fail"}.get(payload[:1], "pass")
    alice.send("bob", b"1", b"bad", b"bad", b"4", b"fails", b"fails")
    net.run(2)
    assert [(4, ((6, 7),)), (17, ((3, 4),))] == told
    assert [b"1", b"4"] == bob.got
    server.judge = lambda payload: "pass"
    net.run(60)
    assert ["DELIVERED", *["REJECTED"] * 2, *["DELIVERED"] * 3] == alice.by_seq()


def test_what_is_rejected_between_the_first_messages_of_all_leaves_no_gap():
    net, server, bob, alice = pair(on_message=True)
    server.judge = lambda payload: "reject" if payload == b"bad" else "pass"
    alice.send("bob", b"1", b"bad", b"3", b"bad", b"5")
    net.run(60)
    assert [b"1", b"3", b"5"] == bob.got
    assert ["DELIVERED", "REJECTED", "DELIVERED", "REJECTED", "DELIVERED"] == alice.by_seq()
    assert 0 == alice.node.outbox.open_messages


@pytest.mark.parametrize("seed", range(10))
def test_rejected_among_the_first_on_a_bad_network_reach_nobody_and_hold_nobody_up(seed):
    rng = random.Random(seed)
    net, server, bob, alice = pair(on_message=True)
    server.judge = lambda payload: "reject" if payload.startswith(b"bad") else "pass"
    net.drop = lambda source, to, data: rng.random() < 0.3 and net.now < 20
    sent = []
    for _ in range(3):
        batch = [rng.choice((b"bad %d", b"good %d")) % (len(sent) + n) for n in range(8)]
        alice.send("bob", *batch)
        sent += batch
        net.run(rng.choice((0.0, 0.03, 0.5)))
    net.run(200)
    good = [payload.startswith(b"good") for payload in sent]
    assert [payload for payload in sent if payload.startswith(b"good")] == bob.got
    assert good == [state == "DELIVERED" for state in alice.by_seq()]
    assert {"DELIVERED", "REJECTED", "VOID"} >= set(alice.shown())
    assert 0 == alice.node.outbox.open_messages


def test_no_message_is_accepted_before_its_hook_has_answered():
    net, server, bob, alice = met(on_message=True)
    server.thinks = True
    alice.send("bob", b"1")
    net.run(2)
    assert ([], []) == (alice.shown(), bob.got)
    server.decide()
    net.run(1)
    assert (["DELIVERED"], [b"1"]) == (alice.shown(), bob.got)


def test_a_copy_of_what_a_hook_thinks_about_is_dropped_and_not_asked_again():
    net, server, bob, alice = pair(on_message=True)
    server.thinks = True
    alice.send("bob", b"slow")
    net.run(20)
    assert (1, 1) == (server.waiting[0], len(server.open))
    assert server.node.router.drops["copy of a message before a hook"] >= 1
    server.decide()
    net.run(60)
    assert ([b"slow"], [b"slow"]) == (server.asked, bob.got)


def test_a_message_refused_after_a_second_copy_left_is_void_and_not_rejected():
    net, server, bob, alice = met(on_message=True)
    server.judge = lambda payload: "reject"
    server.thinks = True
    alice.send("bob", b"slow")
    net.run(20)
    server.thinks = False
    server.decide()
    net.run(60)
    assert (["VOID"], []) == (alice.shown(), bob.got)


def test_the_first_messages_are_asked_about_once_though_they_are_stamped_anew():
    net, server, bob, alice = pair(on_message=True)
    server.judge = lambda payload: "reject" if payload < b"2" else "pass"
    alice.send("bob", b"0")
    alice.send("bob", b"1")
    alice.send("bob", b"2")
    alice.send("bob", b"3")
    net.run(60)
    assert ["REJECTED", "REJECTED", "DELIVERED", "DELIVERED"] == alice.by_seq()
    assert [b"0", b"1", b"2", b"3"] == server.asked
    assert [b"2", b"3"] == bob.got


def test_the_verdicts_that_are_remembered_for_a_copy_are_bounded():
    lane = _Lane()
    for seq in range(1, 2 * PASSED_RUNS_MAX + 2, 2):
        lane.remember(seq, seq)
    assert [(2 * PASSED_RUNS_MAX + 1,) * 2] == list(lane.passed)


def test_a_copy_of_what_was_routed_is_not_asked_about():
    net, server, bob, alice = pair(on_message=True)
    bob.node.close(net.now)
    net.run(1)
    stream, seq = alice.send("bob", b"queued")
    net.run(0.05)
    alice.node.outbox.resend(stream, seq)
    net.run(1)
    assert (["STORED"], [b"queued"]) == (alice.shown(), server.asked)


def test_a_copy_of_what_is_pushed_and_not_receipted_is_not_asked_about():
    net, server, bob, alice = met(on_message=True)
    net.drop = lambda source, to, data: to[0] == "bob-d"
    alice.send("bob", b"pushed")
    net.run(8)
    assert alice.node.outbox.resent_messages >= 1
    assert [b"pushed"] == server.asked
    net.drop = lambda source, to, data: False
    net.run(60)
    assert ([b"pushed"], [b"pushed"]) == (bob.got, server.asked)


def test_a_copy_of_what_was_delivered_while_its_sender_was_away_is_not_asked_about():
    net, server, bob, alice = met(on_message=True)
    net.drop = lambda source, to, data: to[0] == "alice-d"
    alice.send("bob", b"hi")
    net.run(60)
    assert [b"hi"] == bob.got
    net.drop = lambda source, to, data: False
    asked = len(server.asked)
    alice.restart()
    net.run(60)
    assert ("DELIVERED", asked) == (alice.shown()[-1], len(server.asked))


def test_a_broken_on_message_hook_decides_nothing_and_the_message_comes_again():
    net, server, bob, alice = met(on_message=True)
    told = refusals(net)
    server.judge = lambda payload: "fail" if payload == b"2" else "pass"
    alice.send("bob", b"1", b"2", b"3")
    net.run(1)
    assert ([b"1"], [(4, ((3, 3),))]) == (bob.got, told)
    server.judge = lambda payload: "pass"
    net.run(60)
    assert [b"1", b"2", b"3"] == bob.got
    assert ["DELIVERED"] * 3 == alice.shown()


def test_a_hook_is_not_asked_about_what_the_router_would_not_take():
    net, server, _bob, alice = pair(on_message=True)
    alice.send("nobody", b"hi")
    net.run(1)
    assert (["REJECTED"], []) == (alice.shown(), server.asked)


def test_a_cancel_waits_behind_its_message_and_the_recipient_has_the_word():
    net, server, bob, alice = met(on_message=True)
    server.thinks = True
    stream, seq = alice.send("bob", b"hi")
    net.run(0.5)
    alice.node.outbox.cancel(stream, seq, seq)
    net.run(0.5)
    assert 2 == server.waiting[0]
    server.decide()
    net.run(2)
    assert ([], "VOID") == (bob.got, alice.shown()[-1])
    assert ((0, 0), 0) == (server.waiting, server.held)


def test_both_hooks_are_asked_one_after_the_other():
    net, server, bob, alice = pair(may_send=True, on_message=True)
    server.thinks = True
    alice.send("bob", b"1")
    alice.send("bob", b"2")
    net.run(0.1)
    server.decide(1)
    net.run(0.1)
    assert ([("alice/d", "bob")], 1) == (server.asked, len(server.open))
    server.thinks = False
    server.decide()
    net.run(1)
    assert [("alice/d", "bob"), b"1", b"2"] == server.asked
    assert [b"1", b"2"] == bob.got


# --- Limits and ends ---


@pytest.mark.parametrize("limit", [{"inspected_messages_max": 2}, {"inspected_bytes_max": 25}])
def test_what_is_too_much_to_wait_is_refused_as_full_and_comes_again(limit):
    net, server, bob, alice = met(on_message=True, **limit)
    carol = net.client("carol").online()
    told = refusals(net)
    server.thinks = True
    streams = []
    for payload in (b"1", b"2", b"3"):
        streams.append(alice.send("bob", payload))
        net.run(0.1)
    alice.send("carol", b"another stream")
    net.run(0.1)
    alice.node.outbox.cancel(streams[2][0], 4, 4)
    net.run(0.1)
    assert (2, 3) == (server.waiting[0], len(told))
    assert {(2, ((4, 4),)), (2, ((1, 1),))} == set(told)
    server.thinks = False
    server.decide()
    net.run(120)
    assert [b"1", b"2"] == bob.got
    assert [b"another stream"] == carol.got
    assert ["DELIVERED", "DELIVERED", "VOID", "DELIVERED"] == alice.by_seq()[:4]
    assert ((0, 0), 0) == (server.waiting, server.held)


def test_a_session_that_ends_takes_along_what_waits_and_the_hook_may_be_asked_again():
    net, server, bob, alice = pair(on_message=True)
    server.thinks = True
    alice.send("bob", b"1")
    net.run(0.1)
    alice.send("bob", b"2")
    net.run(0.1)
    assert 2 == server.waiting[0]
    alice.node.close(net.now)
    net.run(1)
    assert 1 == server.waiting[0], "what the hook still has is still in memory"
    server.decide()
    assert ((0, 0), 0) == (server.waiting, server.held)
    net.run(1)
    assert [] == bob.got
    server.thinks = False
    alice.restart()
    net.run(10)
    assert ([b"1", b"2"], [b"1", b"1", b"2"]) == (bob.got, server.asked)


def test_a_server_that_dies_over_a_hook_loses_nothing():
    net, server, bob, alice = pair(may_send=True)
    server.thinks = True
    alice.send("bob", b"hi")
    net.run(0.5)
    server.open.clear()
    server.thinks = False
    server.restart()
    net.run(120)
    assert [b"hi"] == bob.got


# --- Redirects ---


@pytest.fixture(params=["six", "four"])
def redirecting(request):
    """Bob's messages that begin with "c" are carol's, and so on; alice knows bob."""

    def make(judge=lambda payload: {b"c": "carol", b"b": "bob", b"x": "nobody"}.get(payload[:1])):
        net = Net()
        server = Inspecting(net, on_message=True)
        bob, carol = net.client("bob").online(), net.client("carol").online()
        alice = net.client("alice", exchange=request.param).online()
        alice.send("bob", b"hello")
        net.run(1)
        server.asked.clear(), bob.got.clear(), alice.states.clear()
        server.judge = lambda payload: judge(payload) or "pass"
        return net, server, alice, bob, carol

    return make


def once(payload, to):
    """A hook that sends this on once, and lets it pass at whom it is for then."""
    seen = []

    def judge(given):
        if given == payload and not seen:
            seen.append(given)
            return to
        return "pass"

    return judge


def ended(alice):
    """Per conversation, what the messages show."""
    found = {}
    for (id_, _), state in sorted(alice.states.items()):
        found.setdefault(id_.conversation, []).append(state)
    return found


def test_a_message_that_is_for_somebody_else_goes_there_as_another_one(redirecting):
    net, server, alice, bob, carol = redirecting(once(b"c", "carol"))
    alice.send("bob", b"1", b"c", b"3")
    net.run(10)
    assert ([b"1", b"3"], [b"c"]) == (bob.got, carol.got)
    shown = {"bob": ["DELIVERED", "REJECTED", "DELIVERED"], "carol": ["DELIVERED"]}
    assert shown == ended(alice)
    assert 0 == alice.node.outbox.open_messages
    assert [b"1", b"c", b"3", b"c"] == server.asked, "the hook gets it anew"
    (event,) = alice.of(MessagesRerouted)
    (one,) = event.messages
    assert ("bob", "carol") == (one.stream.id.conversation, one.new_stream.id.conversation)


def test_the_first_messages_of_all_may_be_for_somebody_else(redirecting):
    net, server, _, bob, carol = redirecting()
    server.judge = lambda payload: "pass"
    dave = net.client("dave").online()
    turned = set()

    def judge(payload):
        if payload[:1] == b"c" and payload not in turned:
            turned.add(payload)
            return "carol"
        return "reject" if payload == b"bad" else "pass"

    server.judge = judge
    dave.send("bob", b"c1", b"bad", b"c2", b"4")
    net.run(100)
    assert ([b"4"], [b"c1", b"c2"]) == (bob.got, sorted(carol.got))
    assert 0 == dave.node.outbox.open_messages


def test_neighbours_go_on_in_their_order_and_no_gap_stays(redirecting):
    turned = set()

    def judge(payload):
        if payload[:1] == b"c" and payload not in turned:
            turned.add(payload)
            return "carol"
        return "reject" if payload == b"bad" else "pass"

    net, _server, alice, bob, carol = redirecting(judge)
    alice.send("bob", b"c1", b"c2", b"bad", b"c3", b"5")
    net.run(10)
    assert ([b"5"], [b"c1", b"c2", b"c3"]) == (bob.got, carol.got)
    assert {"bob": ["REJECTED"] * 4 + ["DELIVERED"], "carol": ["DELIVERED"] * 3} == ended(alice)


def test_after_a_second_copy_it_goes_on_when_the_recipient_has_said_void(redirecting):
    net, server, alice, bob, carol = redirecting(once(b"c", "carol"))
    server.thinks = True
    alice.send("bob", b"c")
    net.run(20)
    net.drop = lambda source, to, data: source[0] == "bob-d"
    server.thinks = False
    server.decide()
    net.run(5)
    assert [] == carol.got, "bob has not spoken"
    assert "UNKNOWN" not in alice.shown()
    net.drop = lambda source, to, data: False
    net.run(100)
    assert ([], [b"c"]) == (bob.got, carol.got)
    assert {"bob": ["VOID"], "carol": ["DELIVERED"]} == ended(alice)


def test_an_earlier_copy_that_was_delivered_stays_the_only_one(redirecting):
    """Another life of the server let it pass; the receipt was lost, and now the hook redirects."""
    net, server, alice, bob, carol = redirecting(once(b"c", "pass"))
    net.drop = lambda source, to, data: source[0] == "bob-d"
    alice.send("bob", b"c")
    net.run(1)
    assert [b"c"] == bob.got
    server.judge = lambda payload: "carol"
    server.restart()
    net.run(100)
    net.drop = lambda source, to, data: False
    net.run(200)
    assert ([b"c"], []) == (bob.got, carol.got)
    assert {"bob": ["DELIVERED"]} == ended(alice)


@pytest.mark.parametrize("seconds", [0.001, 0.011, 0.021, 0.031, 0.041, 0.2])
def test_a_sender_that_dies_at_any_time_delivers_it_once(redirecting, seconds):
    net, server, alice, bob, carol = redirecting()
    asked = []

    def decide(effect):
        asked.append(effect.stream.conversation)
        to = "carol" if effect.stream.conversation == "bob" else None
        ranges = list(effect.ranges)
        server.node.on_inspected(
            effect.token, Verdicts([], [], {} if to is None else {to: ranges}), net.now
        )

    server.handlers[Inspect] = decide
    server.executor = type(server.executor)(server.node, server.store, server.handlers)
    alice.send("bob", b"c")
    net.run(seconds)
    alice.restart()
    net.run(200)
    assert ([], [b"c"]) == (bob.got, carol.got)
    assert {"bob", "carol"} == set(asked)
    assert 0 == alice.node.outbox.open_messages


def test_hooks_that_disagree_end_somewhere(redirecting):
    net, server, alice, bob, _carol = redirecting(lambda payload: "bob")
    alice.send("bob", b"b")
    net.run(30)
    assert {"bob": ["REJECTED"] * 5} == ended(alice)
    assert ([b"b"] * 5, []) == (server.asked, bob.got)


def test_a_name_that_nobody_has_is_refused_as_ever(redirecting):
    net, _server, alice, _bob, _carol = redirecting(once(b"x", "nobody"))
    alice.send("bob", b"x")
    net.run(10)
    assert {"bob": ["REJECTED"], "nobody": ["REJECTED"]} == ended(alice)
    assert 0 == alice.node.outbox.open_messages


def test_back_to_its_sender_it_waits_for_another_device_of_hers(redirecting):
    net, _server, alice, _bob, _carol = redirecting(once(b"a", "alice"))
    alice.send("bob", b"a")
    net.run(5)
    assert "alice" not in ended(alice), "it is pending: she has no other device"
    tablet = net.client("alice", "tablet").online()
    net.run(100)
    assert [b"a"] == tablet.got


def test_without_a_hook_nothing_is_inspected():
    net = Net()
    server = net.server()
    assert server.node._inspection is None
    bob, alice = net.client("bob").online(), net.client("alice").online()
    alice.send("bob", b"hi")
    net.run(1)
    alice.node.close(net.now)
    net.run(1)
    assert [b"hi"] == bob.got
    assert 0 == server.node.sizes()["inspected_messages"]


def test_a_question_about_stored_messages_does_not_wait_for_hooks():
    net, server, bob, alice = met(on_message=True)
    bob.node.close(net.now)
    net.run(1)
    alice.send("bob", b"1")
    net.run(1)
    server.thinks = True
    alice.send("bob", b"2")
    net.run(0.1)
    told = []
    server.node.router.answers.status = lambda *given: told.append(given)
    net.run(STATUS_LEASE_S)
    assert told


def test_what_may_send_says_of_a_session_that_has_ended_concerns_nobody():
    net, server, bob, alice = pair(may_send=True)
    server.thinks = True
    alice.send("bob", b"hi")
    net.run(0.1)
    alice.node.close(net.now)
    net.run(1)
    server.decide()
    assert ([], (0, 0), 0) == (bob.got, server.waiting, server.held)


def test_a_conversation_that_finds_no_room_before_may_send_comes_again():
    net, server, bob, alice = pair(may_send=True, inspected_messages_max=1)
    carol = net.client("carol").online()
    told = refusals(net)
    server.thinks = True
    alice.send("bob", b"1")
    net.run(0.1)
    alice.send("carol", b"2")
    net.run(0.1)
    assert ([(2, ((1, 1),))], 1) == (told, len(server.open))
    server.thinks = False
    server.decide()
    net.run(60)
    assert ([b"1"], [b"2"]) == (bob.got, carol.got)
