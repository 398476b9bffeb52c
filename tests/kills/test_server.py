"""The server dies at each of its effects in turn, and comes back."""

import pytest

from tests.kills.points import points_of


@pytest.mark.parametrize("point", points_of("server"), ids=str)
def test_nothing_is_lost_doubled_or_falsely_receipted(point, outcome_of):
    assert [] == outcome_of(point).problems
