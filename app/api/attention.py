"""Whether the client still waits: told by the web server, asked by what has not begun yet."""

import asyncio

from starlette.types import Receive


class Attention:
    """One client's. `gone` is done once it hung up, as far as `watch` was asked to look."""

    def __init__(self) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watching: asyncio.Task[None] | None = None

    def watch(self, receive: Receive) -> None:
        """Look from now on; the request's body must have been read to its end."""
        self._watching = asyncio.create_task(self._look(receive))

    def end(self) -> None:
        """The answer is ready; what the client does now is no longer of interest."""
        if self._watching is not None:
            self._watching.cancel()

    async def _look(self, receive: Receive) -> None:
        message = await receive()
        if message["type"] == "http.disconnect" and not self.gone.done():
            self.gone.set_result(None)
