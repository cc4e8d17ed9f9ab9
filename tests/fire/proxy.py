"""A slow and unreliable network between workers and broker: delays, stalls and resets at the tests' word."""

import asyncio
import contextlib
import random
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

HOST = "127.0.0.1"


class Proxy:
    """Forwards each connection to `target_port`. Every method may be called from any thread."""

    def __init__(self, port: int, target_port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.port = port
        self._target_port = target_port
        self._loop = loop
        self._flows = asyncio.Event()
        self._flows.set()
        self._request_delay = self._answer_delay = (0.0, 0.0)
        self._random = random.Random()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def delay(self, requests: tuple[float, float] = (0.0, 0.0), answers: tuple[float, float] = (0.0, 0.0)) -> None:
        """From now on hold each piece of data back for so many seconds, drawn between the two."""
        self._request_delay, self._answer_delay = requests, answers

    def stall(self) -> None:
        """Forward nothing until `flow`."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        self._loop.call_soon_threadsafe(self._flows.set)

    def reset(self, share: float, draw: random.Random) -> None:
        """Break a share of the connections at once, with RST and without what was held back."""
        self._loop.call_soon_threadsafe(self._reset, share, draw)

    def calm(self) -> None:
        """No disturbance from now on."""
        self.delay()
        self.flow()

    def _reset(self, share: float, draw: random.Random) -> None:
        for writer in list(self._writers):
            if draw.random() < share:
                writer.transport.abort()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            broker_reader, broker_writer = await asyncio.open_connection(HOST, self._target_port)
        except OSError:  # the broker is away: so is this connection
            self._end(writer)
            return
        self._writers.add(broker_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, broker_writer, is_answer=False))
                group.create_task(self._pump(broker_reader, writer, is_answer=True))
        except* (OSError, asyncio.CancelledError):
            pass  # one side went away: the other goes with it
        finally:
            self._end(writer)
            self._end(broker_writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        while data := await reader.read(65_536):
            await self._flows.wait()
            lowest, highest = self._answer_delay if is_answer else self._request_delay
            if highest:
                await asyncio.sleep(self._random.uniform(lowest, highest))
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@contextmanager
def proxy(port: int, target_port: int) -> Iterator[Proxy]:
    """A proxy in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(10)

    made = Proxy(port, target_port, loop)
    try:
        run(made.start())
        yield made
    finally:
        with contextlib.suppress(TimeoutError):
            run(made.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
