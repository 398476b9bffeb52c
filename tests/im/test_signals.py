"""Who hears a signal."""

import pytest

from tests.im.helpers import INC, LAPTOP, PHONE
from udpim.im.devices import Registry
from udpim.im.groups import Groups
from udpim.im.session import Session
from udpim.im.signals import recipients
from udpim.model import Endpoint

ALICE = Endpoint("alice", "phone")


@pytest.fixture
def registry():
    made = Registry(())
    for endpoint in (PHONE, LAPTOP, ALICE):
        made.put(made.logged_in(endpoint, INC, 1))
    return made


def online(*endpoints):
    return {e: Session(e, INC, lambda: 0.0, {}) for e in endpoints}


def heard(registry, sessions, conversation, sender=ALICE):
    found = recipients(
        conversation, sender, registry=registry, groups=Groups((), (), registry), sessions=sessions
    )
    return [session.endpoint for session in found]


def test_every_session_of_the_recipient_hears_it(registry):
    assert [PHONE, LAPTOP] == heard(registry, online(LAPTOP, PHONE, ALICE), "bob")


def test_who_is_away_does_not(registry):
    assert [LAPTOP] == heard(registry, online(LAPTOP, ALICE), "bob")
    assert [] == heard(registry, online(ALICE), "bob")


def test_an_unknown_user_is_nobody(registry):
    assert [] == heard(registry, online(ALICE), "zoe")


def test_a_session_does_not_hear_itself_but_the_users_other_devices_do(registry):
    assert [LAPTOP] == heard(registry, online(LAPTOP, PHONE), "bob", sender=PHONE)


def test_the_senders_other_devices_hear_nothing_of_what_goes_to_others(registry):
    assert [ALICE] == heard(registry, online(LAPTOP, PHONE, ALICE), "alice", sender=PHONE)


def test_a_group_hears_what_its_members_signal_and_nobody_else(registry):
    groups = Groups((), (), registry)
    groups.apply([*groups.join("#room", "bob"), *groups.join("#room", "alice")])
    sessions = online(PHONE, LAPTOP, ALICE)

    def who(name, sender):
        found = recipients(name, sender, registry=registry, groups=groups, sessions=sessions)
        return {session.endpoint for session in found}

    assert {PHONE, LAPTOP} == who("#room", ALICE)
    assert set() == who("#room", Endpoint("mallory", "x"))
    assert set() == who("#nowhere", ALICE)
