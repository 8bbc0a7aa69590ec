"""`python -m benchmarks NAME`: a table for people, then one line of JSON; status 0 only if what it requires holds."""

import importlib
import os
import pkgutil
import sys
from types import ModuleType

import uvloop

import benchmarks
from benchmarks.bench import Bench
from mesh.config import exit_with_usage


def main() -> int:
    """Run the benchmark that the one argument names."""
    found = {
        name: module for name in _names() if hasattr(module := importlib.import_module(f"benchmarks.{name}"), "run")
    }
    if len(sys.argv) != 2 or sys.argv[1] not in found:
        exit_with_usage("usage: make bench NAME=name (QUICK=1), where name is one of\n" + _listed(found))
    name = sys.argv[1]
    bench = Bench(name, quick=os.environ.get("QUICK", "") not in ("", "0"))
    with bench.folder_of_its_own():
        uvloop.run(found[name].run(bench))
    return bench.report()


def _names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__")


def _listed(found: dict[str, ModuleType]) -> str:
    return "\n".join(f"  {name:<14} {(module.__doc__ or '').strip().splitlines()[0]}" for name, module in found.items())


if __name__ == "__main__":
    raise SystemExit(main())
