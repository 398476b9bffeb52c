"""One connection between two neighbours: exactly-once reliable frames, unordered.

`connection` composes the leaves (window, dedup, rtt, loss, congestion, path); `dial` and
`listen` bring connections about. Sans-IO: time and randomness are arguments.
"""
