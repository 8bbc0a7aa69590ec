"""The worker's side: hand originals to children, some at a time, and tell what became of each."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import Counter, Histogram

from media_svc.domain import Developed, Refusal, RejectedReason
from media_svc.imaging import parcel
from media_svc.imaging.parcel import ParcelDamaged
from media_svc.imaging.protocol import MAX_MESSAGE_BYTES, OUT_OF_MEMORY, SOCKET
from mesh.telemetry import get_logger

WALL_SECONDS = 30.0
"""A child that has neither ended nor used up its 5 s of processor time by then hangs."""
RESTART_SECONDS = 0.5
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
"""How a decoder ends that was led astray by its input."""

_log = get_logger(__name__)
_ended = Counter("media_decoder_children", "Children by how they ended", ["end"])
_cpu = Histogram(
    "media_decoder_cpu_seconds", "Processor time of a child", buckets=(0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 5, 6)
)
_memory = Histogram(
    "media_decoder_memory_bytes", "Most memory of a child", buckets=[number * 64 * 1024**2 for number in range(1, 10)]
)


class DecoderLost(Exception):
    """The child ended for a cause that isn't the picture's; try again."""


@dataclass(frozen=True, slots=True)
class _End:
    """How a child ended."""

    signal: int
    status: int


class Decoders:
    """Develops pictures, at most `limit` at once. The zygote is started again when it dies."""

    def __init__(self, limit: int) -> None:
        self._places = asyncio.Semaphore(limit)
        self._jobs: dict[int, asyncio.Future[_End]] = {}
        self._last_job = 0
        self._socket: socket.socket | None = None
        self._starting = asyncio.Lock()

    async def develop(self, original: bytes, *, declared: str, max_bytes: int) -> Developed | Refusal:
        """Return the picture, or why there is none; `DecoderLost` when nothing is known yet."""
        async with self._places:
            source, target = _memory_file("original"), _memory_file("result")
            try:
                await asyncio.to_thread(_fill, source, original)
                end = await self._run(source, target, declared=declared, max_bytes=max_bytes)
                refusal = _refusal_of(end)
                if refusal is not None:
                    return refusal
                return parcel.unpack(await asyncio.to_thread(_content, target))
            except ParcelDamaged as damage:
                raise DecoderLost(f"its result is damaged: {damage}") from damage
            finally:
                os.close(source)
                os.close(target)

    async def run(self) -> None:
        """Keep a zygote running until cancelled."""
        while True:
            await self._run_zygote()
            _log.error("zygote_ended", jobs=len(self._jobs))
            await asyncio.sleep(RESTART_SECONDS)

    async def ping(self) -> None:
        """Raise `DecoderLost` unless there is a zygote."""
        if self._socket is None:
            raise DecoderLost("the zygote is not running")

    async def _run(self, source: int, target: int, *, declared: str, max_bytes: int) -> _End:
        if self._socket is None:
            raise DecoderLost("the zygote is not running")
        self._last_job += 1
        job = self._last_job
        ended: asyncio.Future[_End] = asyncio.get_running_loop().create_future()
        self._jobs[job] = ended
        message = {"job": job, "declared": declared, "max_bytes": max_bytes}
        try:
            socket.send_fds(self._socket, [json.dumps(message).encode()], [source, target])
            async with asyncio.timeout(WALL_SECONDS):
                return await ended
        except TimeoutError:
            return _End(signal.SIGXCPU, 0)
        except OSError as error:
            raise DecoderLost("the zygote does not listen") from error
        finally:
            self._jobs.pop(job, None)
            if not ended.done() or ended.cancelled():
                self._kill(job)

    def _kill(self, job: int) -> None:
        if self._socket is not None:
            try:
                self._socket.send(json.dumps({"kill": job}).encode())
            except OSError as error:  # then the zygote is gone, and its children with it
                _log.warning("kill_failed", job=job, error=type(error).__name__)

    async def _run_zygote(self) -> None:
        """Start a zygote, listen to it until it ends."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        # Only what Python needs to find the code: no address, no key, no token reaches the zygote.
        environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        with ours:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-c",
                    f"import os; os.dup2({theirs.fileno()}, {SOCKET}); "
                    "from media_svc.imaging import zygote; zygote.main()",
                    env={**environment, "MALLOC_ARENA_MAX": "1"},
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                )
            loop = asyncio.get_running_loop()
            loop.add_reader(ours, self._read_reports, ours)
            self._socket = ours
            try:
                await process.wait()
            finally:
                self._socket = None
                loop.remove_reader(ours)
                for ended in self._jobs.values():
                    if not ended.done():
                        ended.set_exception(DecoderLost("the zygote ended"))
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    def _read_reports(self, ours: socket.socket) -> None:
        while True:
            try:
                message = ours.recv(MAX_MESSAGE_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                return
            if not message:
                asyncio.get_running_loop().remove_reader(ours)
                return
            self._report(json.loads(message))

    def _report(self, report: dict[str, float]) -> None:
        end = _End(int(report["signal"]), int(report["status"]))
        _ended.labels(signal.Signals(end.signal).name if end.signal else f"status_{end.status}").inc()
        _cpu.observe(report["cpu_seconds"])
        _memory.observe(report["memory_bytes"])
        ended = self._jobs.get(int(report["job"]))
        if ended is not None and not ended.done():
            ended.set_result(end)


@asynccontextmanager
async def start(limit: int) -> AsyncIterator[Decoders]:
    """Start the decoders and keep them running until the end of the context."""
    decoders = Decoders(limit)
    keeper = asyncio.create_task(decoders.run(), name="decoders")
    try:
        yield decoders
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


def _refusal_of(end: _End) -> Refusal | None:
    """Return what the end of a child says of its picture; `None` when it left a result."""
    if end.signal == signal.SIGXCPU:
        return Refusal(RejectedReason.TIME_LIMIT, "decoding_took_too_long")
    if end.signal == signal.SIGXFSZ:
        return Refusal(RejectedReason.TOO_LARGE, "result_too_large")
    if end.signal in FAULTS:
        return Refusal(RejectedReason.CORRUPT, "decoder_crashed")
    if end.status == OUT_OF_MEMORY:
        return Refusal(RejectedReason.MEMORY_LIMIT, "decoding_took_too_much_memory")
    if end.signal or end.status:
        raise DecoderLost(f"the child ended with signal {end.signal}, status {end.status}")
    return None


def _memory_file(name: str) -> int:
    return os.memfd_create(f"heliograph-{name}", os.MFD_CLOEXEC)


def _fill(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)


def _content(file: int) -> bytes:
    size = os.fstat(file).st_size
    if size > parcel.MAX_BYTES:
        raise ParcelDamaged("it is too long")
    return os.pread(file, size, 0)
