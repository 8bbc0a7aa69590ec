"""`python -m media_svc.imaging.zygote`: forks one child for every original.

It is started by a worker with an empty environment and one socket, file 3, and holds no secret: no address, no key, no
token. It loads the decoders once, so that a child starts in milliseconds; it never touches a picture itself. Messages:
see `protocol`.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys

from media_svc.imaging import parcel, sandbox
from media_svc.imaging.develop import develop, prepare
from media_svc.imaging.protocol import MAX_MESSAGE_BYTES, OUT_OF_MEMORY, SOCKET


def main() -> None:
    """Serve until the worker closes the socket or ends."""
    parent = os.getppid()
    prepare()
    sandbox.give_up_rights()
    sandbox.die_with(parent)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the worker decides; a Ctrl-C of the terminal reaches us too
    gc.freeze()  # children share these pages
    Zygote(socket.socket(fileno=SOCKET)).serve()


class Zygote:
    """The loop: take a job, fork, report the end of children."""

    def __init__(self, worker: socket.socket) -> None:
        self._worker = worker
        self._jobs: dict[int, int] = {}
        """Job by process id."""

    def serve(self) -> None:
        """Work until the socket is closed by the other side."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        with selectors.DefaultSelector() as events:
            events.register(self._worker, selectors.EVENT_READ)
            events.register(woken, selectors.EVENT_READ)
            while True:
                for key, _ in events.select():
                    if key.fileobj is not self._worker:
                        os.read(woken, 4096)
                        self._report_ended()
                    elif not self._take():
                        return

    def _take(self) -> bool:
        message, files, _, _ = socket.recv_fds(self._worker, MAX_MESSAGE_BYTES, 2)
        if not message:
            return False
        asked = json.loads(message)
        if "kill" in asked:
            for process, job in self._jobs.items():
                if job == asked["kill"]:
                    os.kill(process, signal.SIGKILL)
            return True
        parent = os.getpid()
        process = os.fork()
        if process == 0:
            self._worker.close()
            _run_child(parent, *files, declared=asked["declared"], max_bytes=asked["max_bytes"])
        self._jobs[process] = asked["job"]
        for file in files:
            os.close(file)
        return True

    def _report_ended(self) -> None:
        while self._jobs:
            process, status, used = os.wait4(-1, os.WNOHANG)
            if process == 0:
                return
            report = {
                "job": self._jobs.pop(process),
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
                "status": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
                "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
                "memory_bytes": used.ru_maxrss * 1024,
            }
            self._worker.send(json.dumps(report).encode())


def _run_child(parent: int, source: int, target: int, *, declared: str, max_bytes: int) -> None:
    """Develop one original and end; nothing may escape, or a child would become a second zygote."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sandbox.die_with(parent)
        sandbox.set_limits()
        with os.fdopen(source, "rb") as original:
            content = original.read(max_bytes + 1)
        result = develop(content, declared=declared, max_bytes=max_bytes)
        with os.fdopen(target, "wb") as out:
            out.writelines(parcel.pack(result))
        status = 0
    except MemoryError:
        status = OUT_OF_MEMORY
    except BaseException as error:  # the worker is told by the status, the log by this line
        sys.stderr.write(f"development failed: {error!r}\n")
        sys.stderr.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
