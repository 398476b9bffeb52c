"""How full a connection says that it is."""

from tests.hop.pair import connect
from udpim.hop.codes import Role
from udpim.hop.gauges import Gauges


def test_a_connection_shows_what_waits_in_it():
    client = connect(Role.CLIENT)
    names = [name for name, value in vars(Gauges).items() if isinstance(value, property)]
    assert len(names) >= 8
    idle = {name: getattr(client, name) for name in names}
    assert 0 < idle.pop("congestion_window_bytes")
    assert {0} == set(idle.values())
    client.send_frame(b"control", None, 0.0)
    client.send_frame(bytes(5000), None, 0.0, bulk=True)
    client.send_datagram(b"signal", 0.0)
    full = (
        client.queued_frames,
        client.queued_control_frames,
        client.queued_bulk_bytes,
        client.queued_datagram_frames,
    )
    assert full == (2, 1, 5000, 1)
    client.datagrams_to_send(0.0)
    assert (client.queued_frames, client.in_flight_frames) == (0, 6)
