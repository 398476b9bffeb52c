"""Logins at the server, from the packet to the session and its end; more in test_server.py."""

from collections import deque

import pytest

from tests.settings import settings
from udpim.config import ServerConfig
from udpim.hop.codes import ConnectionState
from udpim.im.last_seen import LastSeen
from udpim.im.records import ServerSnapshot
from udpim.im.router import Router
from udpim.model import Endpoint, LoginCode
from udpim.node.link import Link
from udpim.node.logins import REASON_CHARS_MAX, REFUSED, Logins
from udpim.wire import im_codec
from udpim.wire import im_packets as p

ZOE = Endpoint("zoe", "z")


class Connection:
    """What a login needs of a connection."""

    def __init__(self):
        self.peer_static = b"key"
        self.state = ConnectionState.OPEN
        self.said = []
        self.closed = None

    def send_frame(self, body, tag, now):
        self.said.append((im_codec.decode(body), tag))

    def close(self, code, reason, now):
        self.state, self.closed = ConnectionState.CLOSING, code

    def hold(self, size_bytes):
        pass

    def unacked_tags(self):
        return []


class World:
    """`Logins` with a router whose commits succeed at once."""

    def __init__(self, **limits):
        config = settings(ServerConfig, **limits)
        snapshot = ServerSnapshot()
        self.router = Router(
            config.limits, snapshot, store_epoch=1, durable=True, known_user=lambda user: False
        )
        self.touched = {}
        self.last_seen = LastSeen()
        self.logins = Logins(
            config,
            self.router,
            durable=True,
            touched=self.touched,
            outgoing={},
            events=deque(),
            last_seen=self.last_seen,
            opened=lambda link, now: None,
            ended=lambda session: None,
        )
        self.tokens = 0

    def login(self, who=ZOE, count=1, refusal=None, *, busy=False, commits=True):
        self.tokens += 1
        link = Link(Connection(), 10.0)
        packet = p.Login(*who, b"t", 5, count)
        asked = self.logins.receive_login(link, packet, self.tokens)
        assert (self.tokens, who, b"t") == (asked.token, asked.endpoint, asked.secret)
        self.logins.on_authenticated(self.tokens, refusal, 1.0, busy=busy)
        if self.router.ledger.take_ops() and commits:
            self.router.ledger.on_committed(ok=True)
        return link


def answer(link):
    ((packet, _),) = link.connection.said
    return packet


def test_who_is_let_in_has_a_session_and_its_link_has_something_to_say():
    world = World()
    link = world.login()
    assert isinstance(answer(link), p.LoginOk)
    assert link is world.logins.link(ZOE)
    assert link in world.touched
    assert link.login_by is None


def test_a_refusal_is_cut_to_its_field_and_ends_the_connection_once_it_is_acked():
    link = World().login(refusal="ж" * 200)
    ((refused, tag),) = link.connection.said
    assert (LoginCode.BAD_CREDENTIALS, "ж" * REASON_CHARS_MAX) == refused
    assert REFUSED is tag


def test_a_hook_that_could_not_run_is_no_verdict():
    assert LoginCode.BUSY == answer(World().login(refusal="later", busy=True)).code


def test_a_mark_that_the_sessions_messages_have_passed_is_an_old_copys():
    world = World()
    world.login(count=1)
    world.router.sessions[ZOE].mark = 9
    assert LoginCode.STALE_STORE == answer(world.login(count=9)).code
    assert isinstance(answer(world.login(count=10)), p.LoginOk)


def test_after_a_stale_store_another_login_may_follow():
    world = World()
    world.login(count=5)
    link = world.login(count=5)
    ((refused, tag),) = link.connection.said
    assert (LoginCode.STALE_STORE, None) == (refused.code, tag)
    assert not link.login_taken


@pytest.mark.parametrize("commits", [True, False], ids=["session", "commit on its way"])
def test_a_place_is_taken_from_the_answer_of_the_hook_on(commits):
    world = World(sessions_max=1)
    world.login(commits=commits)
    assert LoginCode.BUSY == answer(world.login(Endpoint("yan", "y"))).code
    assert {"logins_authenticating": 0, "logins_committing": 1 - commits} == world.logins.sizes()


def test_the_end_of_a_session_frees_its_place():
    world = World(sessions_max=1)
    link = world.login()
    world.logins.end_session(link, 9.0)
    assert world.logins.link(ZOE) is None
    assert isinstance(answer(world.login(Endpoint("yan", "y"))), p.LoginOk)


def test_another_login_of_the_endpoint_takes_the_place_of_the_first():
    world = World(sessions_max=1)
    first, second = world.login(), world.login(count=2)
    assert first.connection.closed is not None
    assert second is world.logins.link(ZOE)


def test_no_user_has_the_name_of_a_group():
    (refused, _) = World().login(Endpoint("#g", "z")).connection.said[0]
    assert (LoginCode.BAD_CREDENTIALS, True) == (refused.code, "#" in refused.reason)


def test_a_retired_device_takes_no_place_and_needs_one_to_come_back():
    world = World(devices_per_user_max=1)
    link = world.login()
    world.logins.end_session(link, 9.0)
    known = world.login(count=2)
    assert isinstance(answer(known), p.LoginOk), "a device that is known has its place"
    world.logins.end_session(known, 9.0)
    assert 1 == world.router.memberships.retire_unseen(100, 10)
    world.router.ledger.take_ops()
    world.router.ledger.on_committed(ok=True)
    watch = Endpoint("zoe", "watch")
    assert isinstance(answer(world.login(watch)), p.LoginOk)
    assert LoginCode.BUSY == answer(world.login(count=3)).code


def test_a_store_that_is_behind_what_its_present_session_sent_is_an_old_copy():
    world = World()
    world.login()
    world.router.sessions[ZOE].mark = 50
    assert LoginCode.STALE_STORE == answer(world.login(count=50)).code
    assert isinstance(answer(world.login(count=51)), p.LoginOk)
