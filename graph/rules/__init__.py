"""Decisions as pure functions: `now` is an argument; no I/O, no asyncio, no clock."""
