"""Records survive their trip through text."""

from hypothesis import given
from hypothesis import strategies as st

from tests.store.samples import out_stream
from udpim.im.records import OutMember, OutStreamRecord
from udpim.store.out_stream_text import from_text, to_text

U64 = st.integers(0, 2**64 - 1)
NAME = st.text(max_size=5)
RANGES = st.lists(st.tuples(U64, U64), max_size=3).map(tuple)
MEMBERS = st.builds(
    OutMember,
    *(NAME, NAME, U64, U64, U64, U64, U64),
    *(RANGES, RANGES, RANGES, RANGES, U64),
)
REJECTED = st.lists(st.tuples(U64, U64, U64), max_size=3).map(tuple)
RECORDS = st.builds(
    OutStreamRecord,
    *(U64, U64, NAME, U64, U64, U64, U64),
    st.lists(MEMBERS, max_size=3).map(tuple),
    RANGES,
    REJECTED,
    *(RANGES, RANGES, RANGES),
)


@given(RECORDS)
def test_a_stream_record_survives_text(record):
    assert record == from_text(to_text(record))


def test_what_comes_back_has_its_types():
    again = from_text(to_text(out_stream()))
    assert out_stream() == again
    assert {OutMember} == {type(member) for member in again.members}
    hash(again)  # tuples all the way down


def test_text_is_compact():
    assert " " not in to_text(out_stream())
