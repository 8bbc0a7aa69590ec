"""devstack.accounts: programs that run as another account."""

import subprocess
import sys

FORKS = """
import ctypes, os, subprocess
from devstack.accounts import launched, unprivileged_account

forks = []
note = ctypes.CFUNCTYPE(None)(lambda: forks.append(1))
ctypes.CDLL(None)["__register_atfork"](note, None, None, None)
account = unprivileged_account()
if account:
    assert account.can_run(["/usr/bin/true"])
    assert not account.can_run(["/usr/bin/false"])
    assert not account.can_run(["/nowhere/at/all"])
done = subprocess.run(launched(["/usr/bin/id", "-u"], account), capture_output=True, check=True)
assert int(done.stdout) == (account.uid if account else os.getuid())
assert not forks, forks
subprocess.run(["/usr/bin/true"], user=os.getuid(), check=True)
assert forks, "this way forks, and the test sees it"
"""


def test_a_program_runs_as_another_account_without_a_fork_whose_handlers_could_end_it():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
