"""Who was answered with how much before he had proved his address: the amplification ledger.

To an address that has proved nothing, a server never sends more bytes than came from there
(PROTOCOL §2.8, §3.5). An address that a WELCOME went to is proved by a packet of that connection
from there, or by its FINISH from anywhere; every other one by the answer to a challenge.
"""

from __future__ import annotations

from udpim.model import Address
from udpim.testing.facts import SERVER
from udpim.testing.history import History
from udpim.testing.promises import Stories


def no_amplification(h: History) -> Stories:
    """No address gets more bytes than it sent before it has proved itself."""
    balance: dict[Address, int] = {}
    proved: set[Address] = set()
    welcomed: dict[bytes, Address] = {}
    for _, kind, crossing, size_bytes in h.passages:
        content = crossing.content
        if crossing.source[0] == SERVER:
            home = crossing.sent_to or crossing.destination
            if kind != "sent" or home in proved or crossing.replayed:
                continue
            balance[home] = balance.get(home, 0) - size_bytes
            if content.long is not None:
                welcomed[content.long.source_cid] = home
            if balance[home] < 0:
                what = "+".join(content.labels)
                yield f"{home} was sent {-balance[home]} bytes more than came from it, by {what}"
                proved.add(home)
        elif kind != "sent" and crossing.destination[0] == SERVER:
            home = crossing.seen_from or crossing.source
            balance[home] = balance.get(home, 0) + size_bytes
            if kind == "arrived" and "FINISH" in content.labels and content.cid in welcomed:
                proved.add(welcomed[content.cid])  # nobody else could have made it
            answers = "PATH_RESPONSE" in content.labels
            member = content.long is None and welcomed.get(content.cid) == home
            # A replay from where it came from is as good as a packet that was long on its way.
            if (member or (answers and not crossing.replayed)) and kind == "arrived":
                proved.add(home)
