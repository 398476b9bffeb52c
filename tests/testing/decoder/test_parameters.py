"""Handshake parameters, against the golden vectors and against the product's codec."""

import pytest
from hypothesis import given

from tests.testing.decoder.verdicts import REFUSED, verdict
from tests.wire.hop_strategies import PARAMETERS, damaged
from tests.wire.hop_vectors import load
from udpim.testing.decoder.parameters import BYTES, parse_parameters
from udpim.wire import parameters as product


@pytest.mark.parametrize(("data", "entry"), load("parameters"))
def test_golden_vectors_are_read(data, entry):
    told = {
        name: bytes.fromhex(value) if name in BYTES else value
        for name, value in entry["value"].items()
        if value is not None
    }
    assert told == parse_parameters(data)


@pytest.mark.parametrize(("data", "entry"), load("refused_parameters"))
def test_refused_ones_are_refused(data, entry):
    assert REFUSED == verdict(parse_parameters, data)


@given(PARAMETERS)
def test_what_the_product_writes_is_read_as_it_was_meant(parameters):
    found = parse_parameters(product.encode_parameters(parameters))
    assert found.get("connection_id") == parameters.connection_id
    assert found.get("reset_token") == parameters.reset_token
    assert found["nonce"] == parameters.nonce
    assert found["frame_window"] == parameters.frame_window
    assert found["max_datagram_bytes"] == parameters.max_datagram_bytes
    assert found["bulk_window_bytes"] == parameters.bulk_window_bytes
    assert found["idle_timeout_ms"] / 1e3 == parameters.idle_timeout_s
    assert found["max_ack_delay_us"] / 1e6 == parameters.max_ack_delay_s


@given(damaged(PARAMETERS.map(product.encode_parameters)))
def test_damaged_ones_get_one_verdict(data):
    mine, theirs = verdict(parse_parameters, data), verdict(product.parse_parameters, data)
    assert (REFUSED == theirs) == (REFUSED == mine)
