"""Where promises become durable: SQLite and memory behind one interface."""
