"""Handshake parameters."""

import pytest
from hypothesis import given

from tests.wire.hop_strategies import PARAMETERS
from tests.wire.hop_vectors import load
from udpim.errors import DecodeError
from udpim.wire.parameters import PeerParameters, encode_parameters, parse_parameters


@pytest.mark.parametrize(("data", "entry"), load("parameters"))
def test_parameter_vectors_are_read_and_written(data, entry):
    value = entry["value"]
    token = value["reset_token"]
    parameters = PeerParameters(
        idle_timeout_s=value["idle_timeout_ms"] / 1e3,
        max_datagram_bytes=value["max_datagram_bytes"],
        frame_window=value["frame_window"],
        max_ack_delay_s=value["max_ack_delay_us"] / 1e6,
        reset_token=token and bytes.fromhex(token),
        nonce=bytes.fromhex(value["nonce"]),
        bulk_window_bytes=value.get("bulk_window_bytes", 1_052_672),
    )
    assert parse_parameters(data) == parameters
    if entry.get("canonical", True):
        assert encode_parameters(parameters) == data


@pytest.mark.parametrize(("data", "entry"), load("refused_parameters"))
def test_refused_parameters_are_refused(data, entry):
    with pytest.raises(DecodeError):
        parse_parameters(data)


@given(PARAMETERS)
def test_parameters_survive_the_round_trip(parameters):
    assert parse_parameters(encode_parameters(parameters)) == parameters
