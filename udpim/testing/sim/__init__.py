"""The simulator: seeds of trouble in virtual time, an oracle, a shrinker (docs/simulator.md)."""
