"""Becomes another program, as a child that dies with its parent: `python -I -S launch.py PARENT ACCOUNT COMMAND...`.

A small program of its own, and not code run between fork and exec, so that the parent may have threads (and gRPC
channels) when it starts a child. ACCOUNT is "-" or "uid:gid". Standard library only; nothing else is imported here.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop to the account, tie this process's life to the parent's, run the command."""
    parent, account, *command = sys.argv[1:]
    if account != "-":
        uid, gid = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After the change of account, which clears it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            os._exit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


main()
