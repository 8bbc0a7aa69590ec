"""`python -m gateway serve`; the only reader of the environment. `python -m gateway schema` writes schema.graphql."""

import os
import sys

from gateway import app
from gateway.config import Config
from gateway.schema import write_sdl
from mesh import lifecycle
from mesh.config import exit_with_usage, load_or_exit
from mesh.telemetry import set_up_logging


def main(arguments: list[str]) -> int:
    """Do what the one argument says, return the exit status; wrong settings or arguments: 2."""
    if arguments == ["schema"]:
        return write_sdl()
    if arguments != ["serve"]:
        exit_with_usage("usage: python -m gateway serve|schema")
    config = load_or_exit(Config, os.environ)
    set_up_logging(config.process.environment, "gateway.serve")
    return lifecycle.main(lambda process: app.start(process, config))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
