"""The hop pair moves what it says, and notices when it does not."""

import pytest

from udpim_bench.hop_pair import BURST_FRAMES, HopPair
from udpim_bench.measure import WrongCounts


@pytest.mark.parametrize("suite", [None, 1, 2])
def test_every_frame_arrives_once_and_is_acked_once(suite):
    pair = HopPair(128, 2, suite=suite)
    assert 2 * BURST_FRAMES == pair.run()
    pair.check()
    counts = pair.counts()
    assert 2 * BURST_FRAMES == counts["frames"]
    assert 0 == counts["packets_lost"]
    assert 1 < counts["frames_per_data_packet"] < 1200 / 128


def test_a_lost_frame_is_noticed():
    pair = HopPair(128, 1)
    pair.run()
    pair._received.pop()
    with pytest.raises(WrongCounts, match="255 arrived, 256 acked"):
        pair.check()
