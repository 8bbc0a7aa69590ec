"""`python -m tests.chaos NAME`: counts for people, then one line of JSON; status 0 only if the promise held."""

import importlib
import os
import pkgutil
import sys
from types import ModuleType

import uvloop

import tests.chaos
from mesh.config import exit_with_usage
from tests.chaos.check import Check


def main() -> int:
    """Run the check that the one argument names, under the sabotage that `SABOTAGE` names."""
    found = {
        name: module for name in _names() if hasattr(module := importlib.import_module(f"tests.chaos.{name}"), "run")
    }
    if len(sys.argv) != 2 or sys.argv[1] not in found:
        exit_with_usage("usage: make chaos NAME=name (QUICK=1, SABOTAGE=name), where name is one of\n" + _listed(found))
    name, sabotage = sys.argv[1], os.environ.get("SABOTAGE", "")
    sabotages = found[name].SABOTAGES
    if sabotage and sabotage not in sabotages:
        exit_with_usage(f"SABOTAGE of {name} must be one of: {', '.join(sabotages)}")
    check = Check(name, quick=os.environ.get("QUICK", "") not in ("", "0"), sabotage=sabotage or None)
    if sabotage:
        check.say(f"Sabotage {sabotage}: {sabotages[sabotage]}. The check must fail now.")
    with check.folder_of_its_own():
        uvloop.run(found[name].run(check))
    return check.report()


def _names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(tests.chaos.__path__) if module.name != "__main__")


def _listed(found: dict[str, ModuleType]) -> str:
    lines = []
    for name, module in found.items():
        lines.append(f"  {name:<14} {(module.__doc__ or '').strip().splitlines()[0]}")
        lines += [f"  {'':<14}   SABOTAGE={sabotage}: {what}" for sabotage, what in module.SABOTAGES.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
