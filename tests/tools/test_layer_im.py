# SPDX-License-Identifier: GPL-2.0-only
"""The scapy IM packets and the declarations are one format, over generated IM packets."""

import pytest
from hypothesis import given
from scapy.packet import Raw

from tests.tools.scapy_values import declared, dissected, im_packet_of, rebuilt
from tests.wire.strategies import EXAMPLES, KINDS, packets
from udpim.model import LoginCode, PresenceCode, RejectCode
from udpim.wire import im_codec, im_schema
from udpim.wire.im_packets import Kind
from udpim_tools.layer_im import IM_PACKETS, LoginRefused, PresenceA, Refuse, guess_im_packet
from udpim_tools.layer_im_head import LABELS


def both(value):
    """One generated IM packet: what construct parsed of it, and the bytes construct builds."""
    parsed = im_schema.parse(im_codec.encode(value))
    return parsed, im_schema.build(Kind(parsed.kind), parsed)


def check_round_trip(value):
    parsed, body = both(value)
    assert body == bytes(im_packet_of(parsed))
    packet = guess_im_packet(body)
    assert declared(parsed) == dissected(packet)
    assert body == rebuilt(packet)


def test_every_kind_has_a_class_and_its_name():
    assert {int(kind): kind.label for kind in Kind} == LABELS
    assert set(IM_PACKETS) == set(LABELS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_full_example_is_built_and_dissected_alike(kind):
    check_round_trip(EXAMPLES[kind])


@given(packets)
def test_any_im_packet_is_built_and_dissected_alike(value):
    check_round_trip(value)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_summary_is_the_name_that_people_use(kind):
    assert kind.label == guess_im_packet(both(EXAMPLES[kind])[1]).mysummary()


@pytest.mark.parametrize(
    ("layer", "field", "values"),
    [
        (Refuse, "code", RejectCode),
        (PresenceA, "code", PresenceCode),
        (LoginRefused, "code", set(LoginCode) - {LoginCode.REPLACED, LoginCode.REVOKED}),
    ],
)
def test_codes_have_the_names_that_they_have_elsewhere(layer, field, values):
    assert {int(value): value.name for value in values} == layer().get_field(field).i2s


def test_unknown_kind_stays_raw():
    assert Raw(b"\x80\x01") == guess_im_packet(b"\x80\x01")
