"""What a process that touches strangers' bytes must not be able to do.

The limits are the project's promise for bad pictures: 512 MiB of address space and 5 s of processor time, whatever the
bytes say. The kernel enforces them, so a fault in a decoder costs one child.
"""

import ctypes
import os
import resource
import signal

MEMORY_BYTES = 512 * 1024**2
CPU_SECONDS = 5
OUTPUT_BYTES = 48 * 1024**2
OPEN_FILES = 32
NOBODY = 65_534

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True)


def give_up_rights() -> None:
    """Become nobody, for ever, when started by root; no program started from here can gain rights."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with(parent: int) -> None:
    """Be killed when the parent ends, however it ends. After `give_up_rights`, which resets it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def set_limits() -> None:
    """Set the limits of one picture, for this process."""
    _prctl(_PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # The soft limit ends the process by SIGXCPU; a decoder that ignored it meets SIGKILL a second later.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
