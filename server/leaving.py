"""Last things on the way out, for which nobody waits long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


async def briefly(do: Callable[[], object], seconds: float) -> bool:
    """Do it in a thread that the process does not wait for. False where it is not done after this time."""
    done = threading.Event()

    def run() -> None:
        try:
            do()
        finally:
            done.set()

    threading.Thread(target=run, name="leaving", daemon=True).start()
    return await asyncio.to_thread(done.wait, seconds)
