"""Power losses of the real SQLite store: its own SQL and writer on a drive that forgets.

`drive` decides what a loss of power leaves, `vfs` shows the drive to SQLite and `connection` shows
SQLite to the store; `store` is the product's store without a thread. `disk` puts it into virtual
worlds, `campaign` cuts the power some thousand times. All of it needs the extra ``sim`` (apsw).
"""
