"""The six-packet machines: msgids, outbox, inbox, queue and receipts (PROTOCOL §5), sans-IO."""
