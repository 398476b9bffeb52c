"""Protection of packets, the handshake, connection ids and tokens.

Callers see `protection` and `handshake` only through their interfaces, so that encryption
takes the place of the plaintext implementation without moving a wall.
"""
