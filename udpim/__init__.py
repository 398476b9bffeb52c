"""udpim: an instant-messaging transport over UDP, with receipts that are true."""

__version__ = "0.1.0"
