"""Benchmarks of udpim: transports compared on good and bad networks."""
