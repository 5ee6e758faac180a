"""Whether the client still waits: told by the web server, asked by what has not begun yet."""

import asyncio

from starlette.types import Receive, Scope

GONE = "facereco.gone"
"""Under which a connection of ours leaves a request the future that is done once it was lost."""


class Attention:
    """One client's. `gone` is done once it hung up, as far as `watch` was asked to look.

    Where the connection tells by itself there is nothing to look for: a task for every request
    that waits for what hardly ever comes costs more than reading its body.
    """

    def __init__(self, scope: Scope) -> None:
        told: asyncio.Future[None] | None = scope.get(GONE)
        self.gone = told or asyncio.get_running_loop().create_future()
        self._is_told = told is not None
        self._watching: asyncio.Task[None] | None = None

    def watch(self, receive: Receive) -> None:
        """Look from now on; the request's body must have been read to its end."""
        if not self._is_told:
            self._watching = asyncio.create_task(self._look(receive))

    def end(self) -> None:
        """The answer is ready; what the client does now is no longer of interest."""
        if self._watching is not None:
            self._watching.cancel()

    async def _look(self, receive: Receive) -> None:
        message = await receive()
        if message["type"] == "http.disconnect" and not self.gone.done():
            self.gone.set_result(None)
