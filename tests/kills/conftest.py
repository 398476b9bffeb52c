"""Runs the kill points of a module, some of them side by side."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.kills.campaign import AT_ONCE, open_stage, run_points


@pytest.fixture(scope="module")
def on_stage(tmp_path_factory):
    """Calls a coroutine function with a stage that the whole module shares, and a new folder."""
    with asyncio.Runner() as loop:
        stack = AsyncExitStack()
        stage = loop.run(stack.enter_async_context(open_stage(tmp_path_factory.mktemp("stage"))))

        def call(play, *args, **options):
            return loop.run(play(stage, *args, tmp_path_factory.mktemp("case"), **options))

        yield call
        loop.run(stack.aclose())


@pytest.fixture(scope="module")
def outcome_of(request, on_stage):
    """Point → outcome: a point that was not run yet takes along those that come next."""
    asked = [
        item.callspec.params["point"]
        for item in request.session.items
        if item.path == request.path and "point" in getattr(item, "callspec", request).params
    ]
    outcomes = {}

    def find(point):
        if point not in outcomes:
            at = asked.index(point)
            outcomes.update(on_stage(run_points, asked[at : at + 2 * AT_ONCE]))
        return outcomes[point]

    return find
