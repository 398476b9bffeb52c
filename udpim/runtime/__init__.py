"""Where nodes meet sockets, clocks and disks: asyncio endpoints and the driver."""
