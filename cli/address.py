"""`heliograph address`: where the API is."""

from argparse import Namespace

from cli.commands import OK, Nouns
from cli.services import Services


def add(nouns: Nouns) -> None:
    """Add `address`, which has no verbs."""
    summary = "print the address of the GraphQL API"
    parser = nouns.add_parser("address", help=summary, description=summary)
    parser.set_defaults(run=address)


async def address(services: Services, _arguments: Namespace) -> int:
    """Print the address and nothing else."""
    print(services.settings.need("HELIOGRAPH_GRAPHQL_URL", "the address of /graphql at the gateway"))
    return OK
