"""Check the protos: `python protos/check.py`, called by `make check`.

Style and comments (`buf lint`), layout (`buf format`), and that nothing which `main` has published was broken
(`buf breaking`). Every check runs, whatever the one before it found; the exit status is 1 if any failed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED_BRANCHES = ("main", "origin/main")
"""Where published protos are looked for; a clone for a merge request often has only the second."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one check."""

    passed: bool
    report: str = ""


def main() -> int:
    """Run every check and print what it found; return the exit status."""
    checks: dict[str, Callable[[], Outcome]] = {"lint": lint, "format": layout, "breaking": breaking}
    failed = False
    for name, check in checks.items():
        outcome = check()
        failed |= not outcome.passed
        sys.stdout.write(f"protos: {name:<8} {'ok' if outcome.passed else 'FAILED'}\n")
        for line in outcome.report.splitlines():
            sys.stdout.write(f"  {line}\n")
    return int(failed)


def lint() -> Outcome:
    """Check names, layout of packages, and that everything bears a comment."""
    return run_buf("lint")


def layout() -> Outcome:
    """Check that every file is as `buf format` writes it."""
    outcome = run_buf("format", "--diff", "--exit-code")
    if outcome.passed:
        return outcome
    return Outcome(passed=False, report=f"{outcome.report}\nto apply this: buf format --write")


def breaking() -> Outcome:
    """Check that programs built from the published protos still work with these."""
    published = published_commit()
    if published is None:
        return Outcome(passed=True, report="nothing to compare with: no branch main that has protos")
    branch, commit = published
    outcome = run_buf("breaking", "--against", f"{git('rev-parse', '--git-common-dir')}#ref={commit}")
    if outcome.passed:
        return outcome
    return Outcome(passed=False, report=f"{outcome.report}\ncompared with {branch} ({commit[:10]})")


def published_commit() -> tuple[str, str] | None:
    """Return branch and commit of the published protos, or None before the first."""
    for branch in PUBLISHED_BRANCHES:
        commit = git("rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}")
        if commit and git("ls-tree", commit, "--", "buf.yaml"):
            return branch, commit
    return None


def git(*arguments: str) -> str | None:
    """Return what git prints, or None when it fails: no repository, no such branch, no git."""
    program = shutil.which("git")
    if program is None:
        return None
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else None


def run_buf(*arguments: str) -> Outcome:
    """Run buf at the top of the project."""
    beside = Path(sys.executable).parent / "buf"
    program = str(beside) if beside.exists() else shutil.which("buf")
    if program is None:
        return Outcome(passed=False, report="buf is missing; install the development requirements (buf-bin)")
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return Outcome(passed=done.returncode == 0, report=(done.stdout + done.stderr).strip())


if __name__ == "__main__":
    sys.exit(main())
