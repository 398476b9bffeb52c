# SPDX-License-Identifier: GPL-2.0-only
"""The pieces of IM packets: sections and streams by themselves, computed and contradictory."""

import pytest
from hypothesis import given

from tests.tools.scapy_values import declared, dissected, fields_of, rebuilt
from tests.wire.strategies import sections, stream_ids
from udpim.wire import im_schema
from udpim_tools.layer_im import Members
from udpim_tools.layer_parts import ITEMS_MAX, Member, Section, SeqRange, StreamName


@given(sections())
def test_section_is_built_and_dissected_alike(section):
    parsed = im_schema.SECTION.parse(section.raw)
    assert section.raw == bytes(fields_of({"section": parsed})["section"])
    packet = Section(section.raw)
    assert declared(parsed) == dissected(packet)
    assert section.raw == rebuilt(packet)


@given(stream_ids)
def test_stream_name_is_built_and_dissected_alike(stream):
    fields = stream._asdict()
    name = im_schema.STREAM_NAME.build(fields)
    assert name == bytes(StreamName(**declared(fields)))
    assert declared(fields) == dissected(StreamName(name))


def test_section_takes_more_messages_than_scapy_takes_items_by_default():
    whole = Section(stamps=[1] * 130, payloads=[b""] * 130)
    assert [0] * 130 == Section(bytes(whole)).lengths
    assert ITEMS_MAX >= 1200


def test_a_membership_takes_more_lines_than_a_datagram_could_hold():
    lines = [Member(ordinal=n, user="u", device="d") for n in range(ITEMS_MAX + 1)]
    assert ITEMS_MAX + 1 == len(Members(bytes(Members(members=lines))).members)


@pytest.mark.parametrize("lie", [{"count": 3}, {"lengths": [9]}])
def test_contradictions_are_built_as_asked(lie):
    honest = Section(stamps=[1], payloads=[b"x"])
    assert bytes(honest) != bytes(Section(stamps=[1], payloads=[b"x"], **lie))


def test_what_follows_a_piece_is_left_to_its_owner():
    assert b"rest" == SeqRange(bytes(SeqRange(first=1, last=2)) + b"rest").payload.load
