# SPDX-License-Identifier: GPL-2.0-only
"""How IM packets of the scapy layer begin."""

from scapy.packet import Packet

from udpim.wire.im_packets import Kind
from udpim.wire.layout import FLAG_NAMES
from udpim_tools.layer_groups import Gone
from udpim_tools.layer_im import IM_PACKETS
from udpim_tools.layer_im_head import LABELS, UDPIMImPacket
from udpim_tools.layer_parts import StreamName


def test_every_kind_has_its_name():
    assert {int(kind): kind.label for kind in Kind} == LABELS


def test_every_flag_has_its_name():
    names = UDPIMImPacket().get_field("flags").names
    assert FLAG_NAMES == {
        1 << bit: name for bit, name in enumerate(names) if 1 << bit in FLAG_NAMES
    }


def test_a_stream_is_there_only_if_it_is_named():
    short = Gone(handle=7)
    assert bytes.fromhex("0f 00 00000007") == bytes(short)
    named = Gone(flags="named", handle=7, stream=StreamName(conversation="#t"))
    assert bytes.fromhex("0f 01 00000007 0000000000000000 02 2374 00 00") == bytes(named)


def test_every_class_is_one_packet_that_ends_by_itself():
    for layer in IM_PACKETS.values():
        assert issubclass(layer, Packet)
        assert b"rest" == layer(bytes(layer()) + b"rest").payload.load
