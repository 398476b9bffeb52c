"""An endpoint for tests that remembers what it was given."""

import socket

from tests.runtime.helpers import HOSTS
from udpim.runtime.endpoint import open_endpoint

FAMILIES = dict(zip(HOSTS, (socket.AF_INET, socket.AF_INET6), strict=True))


class Sink:
    def __init__(self):
        self.bursts, self.lost = [], []

    @property
    def datagrams(self):
        return [datagram for burst in self.bursts for datagram in burst]

    async def open(self, kind=None, host="127.0.0.1", port=0):
        return await open_endpoint(
            FAMILIES[host],
            (host, port),
            on_burst=self.bursts.append,
            on_lost=self.lost.append,
            kind=kind,
        )
