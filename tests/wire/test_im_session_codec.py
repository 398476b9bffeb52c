"""The struct codec of logins, memberships and refusals builds what the declarations build."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire import strategies as some
from udpim.errors import DecodeError
from udpim.wire import im_codec, im_rare
from udpim.wire.im_packets import Kind
from udpim.wire.im_session_codec import READERS

KINDS = [Kind(kind) for kind in READERS]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
@settings(max_examples=settings.default.max_examples // 4)
@given(data=st.data())
def test_both_codecs_build_the_same_bytes(kind, data):
    packet = data.draw(some.BY_KIND[kind])
    assert im_rare.encode(packet) == im_codec.encode(packet)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_a_flag_of_another_kind_is_refused(kind):
    body = im_codec.encode(some.EXAMPLES[kind])
    refused = 0
    for bit in range(8):
        flagged = body[:1] + bytes((1 << bit,)) + body[2:]
        try:
            expected = im_rare.decode(flagged)
        except DecodeError:
            refused += 1
            with pytest.raises(DecodeError):
                im_codec.decode(flagged)
        else:
            assert expected == im_codec.decode(flagged)
    assert refused > 4
