"""Random hop frames and datagrams for hypothesis."""

import zlib

from hypothesis import strategies as st

from udpim.wire import frames as f
from udpim.wire import packet as p
from udpim.wire.parameters import PeerParameters

CIDS = st.binary(min_size=8, max_size=8)
EIGHT_BYTES = [
    f.PATH_CHALLENGE,
    f.PATH_RESPONSE,
    f.BINDING_PROBE,
    f.BINDING_ASK,
    f.BINDING_ANSWER,
]
MACS = st.binary(min_size=16, max_size=16)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFF_FFFF)


@st.composite
def acks(draw):
    """An ACK frame's tuple; all-ones bytes are frequent, as on a real link."""
    raw = draw(st.lists(st.sampled_from([0xFF, 0xFF, 0, 1, 0xFE, 0x7F]), max_size=32))
    bitmap = int.from_bytes(bytes(raw), "little")
    return (f.ACK, draw(U32), draw(U16), bitmap, len(raw))


@st.composite
def fragments(draw):
    """A FRAGMENT frame's tuple; lengths about the least one are frequent."""
    count = draw(st.integers(2, 5) | st.just(f.FRAGMENTS_MAX))
    index = draw(st.integers(0, count - 1))
    least = f.FRAGMENT_BYTES_MIN if index < count - 1 else 1
    piece = draw(st.binary(min_size=1, max_size=20)).ljust(least, b"x")
    return (f.FRAGMENT, draw(U32), draw(U32), index, count, piece)


FRAMES = st.one_of(
    st.just((f.PING,)),
    acks(),
    st.tuples(st.just(f.CLOSE), U16, st.text(max_size=60)),
    st.tuples(st.just(f.MESSAGE), U32, st.binary(max_size=80)),
    st.tuples(st.just(f.BULK), U32, st.binary(max_size=80)),
    st.tuples(st.just(f.DATAGRAM), st.binary(max_size=80)),
    st.tuples(st.just(f.CREDIT), st.integers(0, 2**64 - 1)),
    fragments(),
    st.tuples(st.sampled_from(EIGHT_BYTES), CIDS),
    st.tuples(st.just(f.NEW_CID), U32, CIDS, st.just(b"") | MACS),
    st.tuples(st.just(f.RETIRE_CID), U32),
    st.tuples(st.just(f.BINDING_REPORT), CIDS, st.integers(0, 1)),
    st.tuples(st.integers(f.EXTENSION_MIN, f.EXTENSION_MAX), st.binary(max_size=20)),
)


def encode_frame(frame):
    """The struct codec's bytes of one frame tuple."""
    kind, *fields = frame
    if kind == f.PING:
        return bytes((f.PING,))
    if kind == f.ACK:
        return f.encode_ack(*fields)
    if kind == f.CLOSE:
        return f.encode_close(*fields)
    if kind == f.MESSAGE:
        return f.encode_message(*fields)
    if kind == f.BULK:
        return f.encode_bulk(*fields)
    if kind == f.FRAGMENT:
        return f.encode_fragment(*fields)
    if kind == f.DATAGRAM:
        return f.encode_datagram(*fields)
    if kind == f.CREDIT:
        return f.encode_credit(*fields)
    if kind in EIGHT_BYTES:
        return f.encode_path(kind, *fields)
    if kind == f.NEW_CID:
        return f.encode_new_cid(*fields)
    if kind == f.RETIRE_CID:
        return f.encode_retire_cid(*fields)
    if kind == f.BINDING_REPORT:
        return f.encode_binding_report(fields[0], sent=bool(fields[1]))
    return f.encode_extension(kind, *fields)


def checksummed(body):
    """A datagram's bytes with the checksum that makes a mutation reach the parser."""
    return body + zlib.crc32(body).to_bytes(4, "big")


@st.composite
def short_bodies(draw):
    """A plaintext short packet without its checksum, padded as it must be."""
    header = p.encode_short_header(p.PLAIN_SHORT_FLAGS, draw(CIDS), draw(U32))
    payload = b"".join(map(encode_frame, draw(st.lists(FRAMES, max_size=6))))
    return (header + payload).ljust(p.SHORT_BYTES_MIN - 4 + draw(st.integers(0, 3)), b"\0")


LONG_PACKETS = st.one_of(
    st.builds(
        p.Hello, source_cid=CIDS, token=st.binary(max_size=40), payload=st.binary(max_size=300)
    ),
    st.builds(p.Retry, destination_cid=CIDS, source_cid=CIDS, token=st.binary(max_size=255)),
    st.builds(p.Welcome, destination_cid=CIDS, source_cid=CIDS, payload=st.binary(max_size=300)),
    st.builds(p.Reset, cid=CIDS, token=st.binary(min_size=16, max_size=16)),
    st.builds(
        p.VersionOffer,
        destination_cid=CIDS,
        source_cid=CIDS,
        versions=st.lists(st.integers(0, 255), max_size=5).map(tuple),
    ),
)

SECURE_PACKETS = st.one_of(
    st.builds(
        p.SecureHello,
        source_cid=CIDS,
        pattern=st.integers(0, 255),
        suite=st.integers(0, 255),
        token=st.binary(max_size=40),
        payload=st.binary(max_size=300),
        mac=MACS,
    ),
    st.builds(
        p.SecureRetry,
        destination_cid=CIDS,
        source_cid=CIDS,
        token=st.binary(max_size=255),
        mac=MACS,
    ),
    st.builds(
        p.SecureWelcome, destination_cid=CIDS, source_cid=CIDS, payload=st.binary(max_size=300)
    ),
    st.builds(p.Finish, destination_cid=CIDS, source_cid=CIDS, payload=st.binary(max_size=300)),
)

PARAMETERS = st.builds(
    PeerParameters,
    idle_timeout_s=U32.map(lambda ms: ms / 1e3),
    max_datagram_bytes=U16,
    frame_window=U16,
    max_ack_delay_s=U32.map(lambda us: us / 1e6),
    reset_token=st.none() | st.binary(min_size=16, max_size=16),
    nonce=st.binary(min_size=16, max_size=16),
    bulk_window_bytes=U32,
    connection_id=st.none() | CIDS,
)


@st.composite
def damaged(draw, whole):
    """The bytes of ``whole``: as they are, cut, with a byte changed, or with bytes after them."""
    data = draw(whole)
    how = draw(st.sampled_from(["whole", "cut", "changed", "longer"]))
    if how == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if how == "changed" and data:
        at = draw(st.integers(0, len(data) - 1))
        return data[:at] + bytes((draw(st.integers(0, 255)),)) + data[at + 1 :]
    return data + (draw(st.binary(min_size=1, max_size=4)) if how == "longer" else b"")
