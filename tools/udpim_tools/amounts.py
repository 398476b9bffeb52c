"""Numbers with their units, as PROTOCOL.md shows them.

The unit of a number is what its name ends in; `udpim_tools.protocol_tables` prints them.
"""

from __future__ import annotations


def amount(name: str, value: float) -> str:
    """Write a number with the unit that its name ends in; whole numbers without a point."""
    words = name.lower().removesuffix("_max").removesuffix("_min").removesuffix("_initial")
    words = words.removesuffix("_burst")
    if words.endswith("_bytes_per_s"):
        return f"{amount(words.removesuffix('_per_s'), value)}/s"
    if words.endswith("_ms"):
        return amount(f"{words.removesuffix('_ms')}_s", value / 1000)
    if words.endswith("_per_s") or not words.endswith(("_s", "_bytes")):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if words.endswith("_bytes"):
        return f"{value // 2**20} MiB" if value and value % 2**20 == 0 else str(value)
    if value < 1:
        return f"{value * 1000:g} ms"
    if value >= 86400:
        return f"{value / 86400:g} d"
    return f"{value / 3600:g} h" if value >= 3600 else f"{value:g} s"
