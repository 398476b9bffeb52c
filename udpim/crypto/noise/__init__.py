"""The Noise Protocol Framework (revision 34), sans-IO: bytes in, bytes out, randomness an argument.

A handshake of :mod:`.handshake_state` walks through a pattern (:mod:`.patterns`) with the
algorithms of a suite (:mod:`.suites`). It owns a :mod:`.symmetric_state`, which mixes keys by
:mod:`.hkdf` and owns a :mod:`.cipher_state`. Nothing in here knows of packets or connections;
:mod:`udpim.crypto.aead_protection` seals packets with the keys that a handshake leaves behind.

What a peer sends raises nothing but a `NoiseError` of :mod:`udpim.crypto.noise.errors`, and changes
nothing then.
"""
