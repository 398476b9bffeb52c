"""Every hot frame is measured with both codecs, which agree."""

import pytest

from udpim_bench import codecs
from udpim_bench.measure import WrongCounts


def test_every_case_gives_what_the_other_codec_gives():
    cases = codecs.cases(2)
    for case in cases:
        assert case.run() >= 1
        case.check()
    names = {tuple(case.name.split("|")) for case in cases}
    assert len(cases) == len(names)
    frames = {"msg:R", "msg:A", "msg:N", "ack:R", "ack:A", "ack:N", "ACK", "MESSAGE", "datagram"}
    for frame in frames:
        for operation in ("decode", "encode"):
            assert {(frame, operation, "struct"), (frame, operation, "construct")} <= names


def test_a_codec_that_errs_is_noticed():
    with pytest.raises(WrongCounts, match="msg:X"):
        codecs.CodecCase("msg:X|decode|struct", lambda: 1, 2, 1).check()
