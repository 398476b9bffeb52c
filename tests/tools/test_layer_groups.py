# SPDX-License-Identifier: GPL-2.0-only
"""The scapy packets about groups and reading: codes have their names, names their lengths."""

import pytest

from udpim.model import GroupAction, GroupCode
from udpim_tools.layer_groups import GroupA, GroupR, Tally
from udpim_tools.layer_parts import SeqRange, TallyEntry


@pytest.mark.parametrize(
    ("layer", "field", "values"), [(GroupR, "action", GroupAction), (GroupA, "code", GroupCode)]
)
def test_codes_have_the_names_that_they_have_elsewhere(layer, field, values):
    assert {int(value): value.name for value in values} == layer().get_field(field).i2s


def test_names_are_given_as_they_are_and_counted():
    packet = GroupA(names=[b"bob", b"carol"])
    assert bytes.fromhex("1500 00000000 0000 0002 03 626f62 05 6361726f6c") == bytes(packet)
    assert [b"bob", b"carol"] == GroupA(bytes(packet)).names


@pytest.mark.parametrize(
    "raw", ["15 00 00000001 0000 ffff 03 626f62", "15 00 00000001 0000 0002 ff"]
)
def test_names_that_are_cut_short_end_with_the_bytes(raw):
    packet = GroupA(bytes.fromhex(raw))
    assert packet.names_count == len(packet.names)
    assert b"" == packet.names[-1]


def test_an_entry_counts_its_ranges_and_ordinals():
    entry = TallyEntry(verdict="void", ranges=[SeqRange(first=1, last=2)], first=3, bitmap=b"\x05")
    body = bytes(Tally(handle=1, store_epoch=2, as_of=4, entries=[entry]))
    assert body == bytes.fromhex(
        "0e00 00000001 0000000000000002 00000004 01"
        "01 01 0000000000000001 0000000000000002 0003 0001 05"
    )
