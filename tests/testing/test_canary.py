"""A payload that shows on the wire is noticed, and by its canary alone."""

from udpim.testing.canary import CANARY_BYTES, no_plaintext
from udpim.testing.world import World

CANARY = b"canary"


def told(*, encrypted):
    world = World("canary", encrypted=encrypted)
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    alice.send("bob", b"the %s and more" % CANARY)
    world.settle()
    assert bob.online
    return world.history


def test_no_word_crosses_an_encrypted_network():
    assert [] == list(no_plaintext(told(encrypted=True), CANARY))


def test_every_datagram_that_shows_a_payload_is_named():
    stories = list(no_plaintext(told(encrypted=False), CANARY))
    assert {"alice/phone", "server"} == {story.split()[3] for story in stories}
    assert all("shows a payload: " in story and "msg:" in story for story in stories)


def test_what_nobody_sent_is_not_found():
    assert [] == list(no_plaintext(told(encrypted=False), b"another"))


def test_a_canary_is_too_long_for_chance():
    assert CANARY_BYTES >= 8
