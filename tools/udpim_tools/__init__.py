"""Development tools around udpim; nothing in the library imports them.

This package is MIT. Modules in it that import scapy are GPL-2.0-only, because scapy is, and each of
them says so in its first line; this module imports none of them.
"""
