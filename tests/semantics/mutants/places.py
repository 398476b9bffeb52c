"""Where the tests of the semantics are: prefixes of node ids."""

EXCHANGE = "tests/semantics/test_exchange.py::"
LARGE = "tests/semantics/test_large.py::"
MATRIX = "tests/semantics/test_crash_matrix.py::test_matrix"
RECIPIENTS = "tests/semantics/test_recipients.py::"
SENDERS = "tests/semantics/test_senders.py::"
SERVERS = "tests/semantics/test_servers.py::"
WINDOW = "tests/semantics/test_window.py::"
