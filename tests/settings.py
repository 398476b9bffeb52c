"""Settings for tests that name limits and times side by side."""

from udpim.config import LIMIT_NAMES, Limits


def settings(make, **options):
    """Make a config in which the options that are limits stand among its limits."""
    limits = {name: options.pop(name) for name in LIMIT_NAMES if name in options}
    return make(limits=Limits(**limits), **options)
