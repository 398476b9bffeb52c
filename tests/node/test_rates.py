"""How much one user may send: refused beyond it for a while, and nobody else notices."""

from tests.im.helpers import run_of
from tests.node.net import Net
from tests.node.test_inspection import refusals
from udpim.config import Limits
from udpim.im.session import Session
from udpim.model import Endpoint, RejectCode
from udpim.node.rates import SenderRates
from udpim.wire import im_packets as p

BEYOND = "message beyond its user's rate"
SLOW = {"user_messages_per_s_max": 10, "user_messages_burst_max": 20}


class Rates:
    """The rates of a server, and users who send."""

    def __init__(self, **limits):
        self.drops = {}
        self.rates = SenderRates(Limits(**limits), self.drops)
        self.sessions = {}
        self.routed = []

    def session(self, user, device="d"):
        who = Endpoint(user, device)
        return self.sessions.setdefault(who, Session(who, 1, lambda: 0.0, {}))

    def send(self, user, first, last, now, device="d"):
        """Bring a run; tells whether it is routed."""
        session = self.session(user, device)
        packet = p.MsgR(1, None, 1, (), 0, run_of(first, last))
        before = len(self.routed)
        self.rates.limited(session, packet, self.routed.append)(now)
        return len(self.routed) > before

    def told(self, user, device="d"):
        frames = self.session(user, device).frames
        return [(packet.code, packet.ranges) for packet, _ in frames]


def test_a_burst_passes_then_the_rate_and_what_is_beyond_is_refused_as_rate():
    r = Rates(**SLOW)
    assert [True, True] == [r.send("alice", 1, 10, 0.0), r.send("alice", 11, 20, 0.0)]
    assert not r.send("alice", 21, 23, 0.0)
    assert [(RejectCode.RATE, ((21, 23),))] == r.told("alice")
    assert {BEYOND: 3} == r.drops
    assert r.send("alice", 21, 23, 0.5)
    assert RejectCode.RATE.transient


def test_all_devices_of_a_user_share_one_rate_and_another_user_has_another():
    r = Rates(**SLOW)
    assert r.send("alice", 1, 20, 0.0, "phone")
    assert not r.send("alice", 1, 1, 0.0, "laptop")
    assert r.send("carol", 1, 20, 0.0)
    assert [] == r.told("carol")


def test_bytes_have_a_rate_of_their_own_and_one_message_may_go_beyond():
    r = Rates(user_bytes_per_s_max=10, user_bytes_burst_max=20)
    assert r.send("alice", 1, 5, 0.0)
    assert not r.send("alice", 6, 6, 1.0), "the bytes beyond are waited for"
    assert r.send("alice", 6, 6, 60.0)


def test_a_run_beyond_the_bytes_costs_no_messages():
    r = Rates(user_messages_burst_max=2, user_messages_per_s_max=1, user_bytes_burst_max=1)
    assert r.send("alice", 1, 1, 0.0)
    for _ in range(5):
        assert not r.send("alice", 2, 2, 0.0)
    assert r.send("alice", 2, 2, 0.1), "one was left"


def test_what_brings_no_messages_passes_by_and_what_is_not_taken_stays_so():
    r = Rates(user_messages_burst_max=1)
    session = r.session("alice")
    for packet in (
        p.CancelR(1, None, 1, (), ((1, 9),)),
        p.StatusR(1, None, 1, (), ((1, 9),)),
    ):
        assert r.routed.append == r.rates.limited(session, packet, r.routed.append)
    packet = p.MsgR(1, None, 1, (), 0, run_of(1, 1))
    assert r.rates.limited(session, packet, None) is None
    assert 0 == len(r.rates)


def test_who_has_sent_nothing_for_long_is_forgotten():
    r = Rates(**SLOW)
    r.send("alice", 1, 20, 0.0)
    r.send("bob", 1, 20, 1.5)
    assert 2 == len(r.rates)
    r.send("carol", 1, 1, 2.5)
    assert 2 == len(r.rates), "alice's bucket is full again"
    r.send("dave", 1, 1, 9.0)
    assert 1 == len(r.rates)


def test_so_many_users_are_remembered_as_may_have_sessions():
    r = Rates(sessions_max=3, handshakes_max=3, **SLOW)
    for number, user in enumerate(("alice", "bob", "carol")):
        r.send(user, 1, 20, number / 100)
    assert not r.send("alice", 21, 21, 0.03)
    r.send("dave", 1, 20, 0.04)
    assert 3 == len(r.rates)
    assert not r.send("alice", 21, 21, 0.05), "she sent after bob did"
    assert r.send("bob", 21, 21, 0.05), "longest ago: begins anew"


# --- In a server ---


def test_everything_beyond_the_rate_arrives_later_once_and_in_order():
    net = Net()
    server = net.server(**SLOW)
    bob, alice = net.client("bob").online(), net.client("alice").online()
    told = refusals(net)
    payloads = [b"%d" % number for number in range(60)]
    for payload in payloads:
        alice.send("bob", payload)
        net.run(0.01)
    assert len(bob.got) < 60
    assert {RejectCode.RATE} == {code for code, _ in told}
    assert 1 == server.node.sizes()["rated_users"]
    net.run(600)
    assert server.node.drops[BEYOND] == sum(b - a + 1 for _, ((a, b),) in told)
    assert payloads == bob.got
    assert ["DELIVERED"] * 60 == alice.by_seq()
