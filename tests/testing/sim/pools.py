"""A pool of processes that is none: what is submitted is done at once, in this process.

So a planted bug, or whatever a test replaces, reaches what otherwise runs elsewhere.
"""

from concurrent.futures import Future


class InProcess:
    """Stands in for `concurrent.futures.ProcessPoolExecutor`."""

    def __init__(self, jobs, mp_context):
        assert jobs >= 1

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def submit(self, function, *args):
        future = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future
