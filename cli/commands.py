"""How a noun adds its verbs to the command line."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from cli.services import Services

OK = 0
FAILED = 1
"""A service answered with an error, or not at all."""
WRONG_USAGE = 2
"""Arguments or settings are wrong."""
FOUND_TROUBLE = 3
"""A check ran to its end and found something that should not be."""

Run = Callable[[Services, Namespace], Awaitable[int]]
Nouns: TypeAlias = "_SubParsersAction[ArgumentParser]"
"""What nouns are added to."""
Verbs = Nouns
"""What the verbs of one noun are added to."""


def noun(nouns: Nouns, name: str, summary: str) -> Verbs:
    """Add a noun and return what its verbs are added to."""
    parser = nouns.add_parser(name, help=summary, description=summary)
    return parser.add_subparsers(title="verbs", metavar="VERB", required=True)


def verb(verbs: Verbs, name: str, summary: str, run: Run) -> ArgumentParser:
    """Add a verb that calls `run`, and return its parser for further arguments."""
    parser = verbs.add_parser(name, help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="print the services' replies as JSON, one a line")
    parser.set_defaults(run=run)
    return parser
