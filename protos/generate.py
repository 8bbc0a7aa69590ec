"""Generate the Python package `heliograph` from the protos: `python protos/generate.py`.

Writes messages, gRPC stubs for asyncio and their typed stubs to `gen/heliograph/`. Does nothing when protos, this
script and the tools are those of the last run. The new package replaces the old one whole, after every file of it
was written, so that a failed run leaves the old one in place; two runs at once wait for one another.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
GEN = PROTOS.parent / "gen"
PACKAGE = "heliograph"
DIGEST_FILE = ".digest"
TOOLS = ("grpcio-tools", "protobuf", "mypy-protobuf")


class GenerationError(Exception):
    """The package can't be generated; the message says why and what to do."""


def main() -> int:
    """Generate what is out of date; return the exit status."""
    started = time.monotonic()
    try:
        changed = generate()
    except GenerationError as error:
        sys.stderr.write(f"protos: {error}\n")
        return 1
    if changed:
        sys.stdout.write(f"protos: generated gen/{PACKAGE} in {time.monotonic() - started:.1f} s\n")
    else:
        sys.stdout.write(f"protos: gen/{PACKAGE} is up to date\n")
    return 0


def generate() -> bool:
    """Bring `gen/heliograph` up to date; return whether it had to be written."""
    sources = sorted((PROTOS / PACKAGE).rglob("*.proto"))
    wanted = digest(sources)
    GEN.mkdir(exist_ok=True)
    with (GEN / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if read_digest() == wanted:
            return False
        with tempfile.TemporaryDirectory(prefix=".new-", dir=GEN) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            compile_protos(sources, new)
            make_importable(new / PACKAGE, wanted)
            swap(new / PACKAGE, Path(scratch) / "old")
    return True


def digest(sources: list[Path]) -> str:
    """Return a hash over everything that the generated code depends on."""
    seen = hashlib.sha256()
    for tool in TOOLS:
        seen.update(f"{tool} {tool_version(tool)}\n".encode())
    for path in [Path(__file__), *sources]:
        content = path.read_bytes()
        seen.update(f"{path.resolve().relative_to(PROTOS)} {len(content)}\n".encode())
        seen.update(content)
    return seen.hexdigest()


def tool_version(tool: str) -> str:
    """Return the installed version of a code generator."""
    try:
        return version(tool)
    except PackageNotFoundError as error:
        raise GenerationError(
            f"{tool} is missing from the environment of {sys.executable}; install the development requirements first"
        ) from error


def read_digest() -> str:
    """Return the hash that the present package was made from; empty when there is none."""
    try:
        return (GEN / PACKAGE / DIGEST_FILE).read_text()
    except FileNotFoundError:
        return ""


def compile_protos(sources: list[Path], target: Path) -> None:
    """Compile the messages of every source, and the stubs of those that hold a service."""
    services = [source for source in sources if source.stem.endswith("_service")]
    run_protoc(sources, f"--python_out={target}", plugin("mypy"), f"--mypy_out=quiet:{target}")
    run_protoc(
        services,
        f"--grpc_python_out={target}",
        plugin("mypy_grpc"),
        f"--mypy_grpc_out=quiet,only_async:{target}",
    )


def run_protoc(sources: list[Path], *options: str) -> None:
    """Run protoc with these options."""
    # Imported late: a run that has nothing to do stays under 0.1 s without it.
    import grpc_tools
    from grpc_tools import protoc

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    names = [str(source.relative_to(PROTOS)) for source in sources]
    if protoc.main(["protoc", f"--proto_path={PROTOS}", f"--proto_path={well_known}", *options, *names]) != 0:
        raise GenerationError("protoc failed; its own words stand above")


def plugin(generator: str) -> str:
    """Return the option that tells protoc where a plugin is: in this interpreter's environment, active or not."""
    name = f"protoc-gen-{generator}"
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise GenerationError(f"{name} is neither beside {sys.executable} nor on PATH; install mypy-protobuf")
    return f"--plugin={name}={found}"


def make_importable(package: Path, wanted: str) -> None:
    """Turn the generated folders into regular, typed packages and note what they were made from."""
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        area = ".".join(folder.relative_to(package.parent).parts)
        (folder / "__init__.py").write_text(
            f'"""Generated from protos/{area.replace(".", "/")}; not to be edited."""\n'
        )
    (package / "py.typed").touch()
    (package / DIGEST_FILE).write_text(wanted)


def swap(new: Path, old: Path) -> None:
    """Put the new package in the place of the present one, which moves to `old`."""
    present = GEN / PACKAGE
    if present.exists():
        present.rename(old)
    new.rename(present)


if __name__ == "__main__":
    sys.exit(main())
