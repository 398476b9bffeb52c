"""Several server processes on one store: who is the home, and how the others reach it.

One process at a time is the *home*: it holds the sessions and the store. The others are *gates*:
each has a UDP port of its own, and passes datagrams between its clients and the home. So the rules
of the exchange hold across processes because one process at a time keeps them, and a process may
die at any moment because the next home goes on from the store and the clients' retransmissions.

::

    client ─► gate ══ bus ══► home ─► store          directory: who is the home, in which epoch

Three small interfaces, each with one implementation for processes of one host: the directory
(`udpim.cluster.directory`), the bus, which may lose (`udpim.cluster.bus`), and the store behind its
fence (`udpim.store.fence`). PROTOCOL §8.
"""
