"""What is done with an IM packet of a session, and which packets no session may send."""

import pytest

from tests.node.net import ME, Net, logged_in, login, msg
from udpim.wire import im_packets as p
from udpim.wire.im_codec import encode_section


@pytest.mark.parametrize(
    "packet",
    [
        p.LoginOk(1, True, True, 1, 1),
        p.MsgN(1, ME, 1, 1, encode_section(1, [0], [b""])),
        p.AckR(9, None, False, (), ()),
        msg(1, b"x", name=None, handle=9),
        login(),
        b"\x7f",
        b"",
    ],
)
def test_what_no_client_may_say_is_dropped_whole(packet):
    net = Net()
    server = net.server()
    raw = logged_in(net)
    raw.send(packet, msg(1, b"x"))
    net.run(0.1)
    assert [] == raw.packets
    (connection,) = server.node.connections()
    assert {"malformed IM packet", "IM packet not acceptable now"} & set(connection.drops)


def test_unknown_kinds_from_0x80_on_are_skipped():
    net = Net()
    server = net.server()
    raw = logged_in(net)
    raw.send(b"\xff", msg(1, b"x"))
    net.run(0.1)
    assert 1 == len(raw.of(p.Refuse))
    assert {"IM packet of an unknown kind": 1} == server.node.drops
