"""What happens inside nodes, for people and their tools: qlog."""
