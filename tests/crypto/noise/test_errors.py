"""What a handshake can say of itself: one line, without a secret."""

import pytest

from udpim.crypto.noise import errors
from udpim.errors import Error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (errors.MalformedMessage(7), "no handshake message here has 7 bytes"),
        (errors.AuthenticationFailed(), "not what the peer has sealed"),
        (errors.PublicKeyRefused(), "the public key gives no secret"),
        (errors.KeyExhausted("nonces"), "the key is used up: nonces"),
    ],
)
def test_an_error_says_one_line_and_is_caught_as_one_of_the_handshake(error, line):
    assert line == str(error)
    assert isinstance(error, errors.NoiseError)
    assert isinstance(error, Error)


def test_errors_carry_their_data():
    assert 7 == errors.MalformedMessage(7).size_bytes
    assert "nonces" == errors.KeyExhausted("nonces").limit
