"""Packets as events: frames by QUIC's names, IM packets without what is in them."""

import json

import pytest

from udpim.hop.trace import Measures
from udpim.model import StreamId
from udpim.observe.connection_trace import ConnectionTrace
from udpim.wire import frames as f
from udpim.wire import im_codec
from udpim.wire import im_packets as p

STREAM = StreamId("alice", "phone", 2**63 + 1, "bob")
SECRET = b"nobody's business"
MSG_N = p.MsgN(5, STREAM, 1, 3, im_codec.encode_section(3, [1, 2], [SECRET, SECRET]))
LOGIN = p.Login("alice", "phone", SECRET, 2**63 + 1, 1)


@pytest.fixture
def told():
    return []


@pytest.fixture
def trace(told):
    def tell(name, data, group=None):
        assert "0a0b" == group
        json.dumps(data)
        told.append((name, data))

    return ConnectionTrace(tell, "server", b"\x0a\x0b")


def frames_told(trace, told, *frames):
    trace.sent(7, b"".join(frames), 100)
    _, data = next(event for event in told if event[0] == "transport:packet_sent")
    assert {"packet_type": "1RTT", "packet_number": 7} == data["header"]
    assert 100 == data["raw"]["length"]
    return data["frames"]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (bytes([f.PING]), {"frame_type": "ping"}),
        (
            f.encode_ack(9, 125, 0b1011, 1),
            {"frame_type": "ack", "ack_delay": 1.0, "acked_ranges": [[5, 5], [7, 9]]},
        ),
        (
            f.encode_close(3, "bye"),
            {"frame_type": "connection_close", "error_code": 3, "reason": "bye"},
        ),
        (f.encode_credit(77), {"frame_type": "max_data", "maximum": 77}),
        (f.encode_retire_cid(2), {"frame_type": "retire_connection_id", "sequence_number": 2}),
        (
            f.encode_fragment(4, 2, 0, 2, bytes(600)),
            {
                "frame_type": "fragment",
                "hop_seq": 4,
                "group": 2,
                "index": 0,
                "count": 2,
                "length": 600,
            },
        ),
        (f.encode_path(f.PATH_CHALLENGE, bytes(8)), {"frame_type": "path_challenge"}),
        (f.encode_extension(0x41, b"xy"), {"frame_type": "extension"}),
    ],
)
def test_a_frame_is_called_as_in_quic_where_quic_has_it(trace, told, frame, expected):
    assert [expected] == frames_told(trace, told, frame)


def test_a_reset_token_is_not_shown(trace, told):
    frame = f.encode_new_cid(1, bytes(8), bytes(range(16)))
    expected = {"frame_type": "new_connection_id", "sequence_number": 1}
    assert [expected] == frames_told(trace, told, frame)


def test_an_im_packet_is_told_without_its_payloads(trace, told):
    frame = f.encode_bulk(1, im_codec.encode(MSG_N))
    trace.received(2, frame, len(frame))
    name, data = told[-1]
    assert ("udpim:im_packet_received", "msg:N") == (name, data["kind"])
    assert (2, "alice/phone→bob", [[3, 4]]) == (
        data["packet_number"],
        data["name"],
        data["section"],
    )
    assert SECRET.decode() not in json.dumps(told)


def test_a_login_is_told_without_its_token(trace, told):
    trace.sent(1, f.encode_message(0, im_codec.encode(LOGIN)), 60)
    name, data = told[-1]
    assert ("udpim:im_packet_sent", "login", str(2**63 + 1)) == (
        name,
        data["kind"],
        data["incarnation"],
    )
    assert SECRET.decode() not in json.dumps(told)


def test_what_a_peer_made_wrong_raises_nothing(trace, told):
    trace.received(1, b"\xff\xff", 19)
    trace.received(2, f.encode_message(0, b"\x01"), 19)
    trace.received(3, f.encode_message(1, b"\xf0 a kind of the future"), 19)
    assert [
        "connectivity:connection_started",
        "udpim:malformed",
        "transport:packet_received",
        "transport:packet_received",
        "udpim:im_packet_received",
        "transport:packet_received",
    ] == [name for name, _ in told]


def test_measures_are_told_in_milliseconds_and_only_what_has_changed(trace, told):
    measures = Measures(0.1, 0.2, 0.05, 0.01, 12000, 800, 0)
    trace.recovered(measures, [4, 6])
    trace.recovered(measures, [])
    trace.recovered(measures._replace(bytes_in_flight=0), [])
    assert [
        ("recovery:packet_lost", {"header": {"packet_type": "1RTT", "packet_number": 4}}),
        ("recovery:packet_lost", {"header": {"packet_type": "1RTT", "packet_number": 6}}),
        (
            "recovery:metrics_updated",
            {
                "smoothed_rtt": 100.0,
                "latest_rtt": 200.0,
                "min_rtt": 50.0,
                "rtt_variance": 10.0,
                "congestion_window": 12000,
                "bytes_in_flight": 800,
                "pto_count": 0,
            },
        ),
        ("recovery:metrics_updated", {"bytes_in_flight": 0}),
    ] == told[1:]


def test_a_drop_has_its_reason(trace, told):
    trace.dropped("duplicate")
    assert ("transport:packet_dropped", {"trigger": "duplicate"}) == told[-1]
