"""How much work something is, in lines of Python that run: the same on every machine."""

import sys


def lines_run(work):
    """Do something; how many lines of `udpim` that took."""
    count = 0

    def line(frame, event, argument):
        nonlocal count
        count += event == "line"
        return line

    def call(frame, event, argument):
        return line if "udpim" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
