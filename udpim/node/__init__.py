"""Where the floors meet: a client node and a server node, sans-IO."""
