"""Ids of one end, as an onlooker puts them together."""

from udpim.testing.aliases import Aliases

CLIENT, SERVER, OTHER = b"client-1", b"server-1", b"server-2"


def test_an_end_goes_by_its_first_id_whatever_it_is_called_later():
    aliases = Aliases()
    aliases.met(CLIENT, SERVER)
    aliases.used(SERVER)
    aliases.used(CLIENT)
    aliases.given(b"spare id", CLIENT)
    aliases.given(b"a second", SERVER)
    assert [SERVER, CLIENT] == [aliases.first(b"spare id"), aliases.first(b"a second")]
    assert [SERVER, b"a stranger"] == [aliases.first(SERVER), aliases.first(b"a stranger")]


def test_of_several_welcomes_the_one_that_the_client_went_on_with_counts():
    aliases = Aliases()
    aliases.met(CLIENT, OTHER)
    aliases.met(CLIENT, SERVER)
    aliases.used(SERVER)
    aliases.given(b"spare id", CLIENT)
    assert SERVER == aliases.first(b"spare id")


def test_an_id_given_in_a_connection_that_nobody_saw_begin_stands_for_itself():
    aliases = Aliases()
    aliases.given(b"spare id", CLIENT)
    assert b"spare id" == aliases.first(b"spare id")


def test_peer_is_the_one_that_packets_go_to():
    aliases = Aliases()
    aliases.met(CLIENT, OTHER)
    aliases.met(CLIENT, SERVER)
    assert b"" == aliases.peer(CLIENT)
    aliases.used(SERVER)
    assert SERVER == aliases.peer(CLIENT)
    aliases.used(OTHER)
    assert SERVER == aliases.peer(CLIENT), "a copy that comes late changes nothing"
    assert b"" == aliases.peer(b"stranger")
