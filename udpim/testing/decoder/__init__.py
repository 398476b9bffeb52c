"""The oracle's own decoder, written from PROTOCOL.md alone.

An encoder and a decoder that share a wrong constant understand each other perfectly. So that the
oracle does not understand them too, it reads datagrams with this package, which shares no line with
`udpim.wire` and `udpim.crypto` but the classes of the values that it returns; an import contract
holds it to that. Every constant here was taken from the text.

A datagram is refused for what a layout of PROTOCOL §2 to §4 says (its rules and those below its
table), or a clause that calls it malformed or has it dropped, as long as one packet is enough to
see it. What depends on the state of a receiver (unknown handles, a window, credit) is no matter of
decoding, nor is what a clause asks of senders only.

In the flow: `datagrams` (what kind of packet) → `opener` (encrypted ones, by `packet_keys`) →
`frames` → `packets` (what may travel in which frame) → `im`, `im_exchange`, `im_rare` (IM packets)
by `fields` (the types that their layouts name). None of them raises on bytes, but for
`udpim.errors.DecodeError`, which `udpim.testing.wiretap` turns into "unreadable".
"""
