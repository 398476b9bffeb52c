"""Records survive their trip through text."""

import json

from hypothesis import given
from hypothesis import strategies as st

from udpim.im.records import OutMember, OutStreamRecord, as_jsonable, out_stream_from

U64 = st.integers(0, 2**64 - 1)
RANGES = st.lists(st.tuples(U64, U64), max_size=3).map(tuple)
MEMBERS = st.builds(
    OutMember, st.text(max_size=5), U64, U64, U64, U64, RANGES, RANGES, RANGES, RANGES
)
REJECTED = st.lists(st.tuples(U64, U64, U64), max_size=3).map(tuple)
RECORDS = st.builds(
    OutStreamRecord,
    *(U64, U64, st.text(max_size=5), U64, U64, U64, U64),
    st.lists(MEMBERS, max_size=3).map(tuple),
    RANGES,
    REJECTED,
)


@given(RECORDS)
def test_a_stream_record_survives_json(record):
    assert record == out_stream_from(json.loads(json.dumps(as_jsonable(record))))
