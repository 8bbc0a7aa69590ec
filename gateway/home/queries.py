"""The query of the home screen."""

import strawberry

from gateway.home.types import Home


@strawberry.type
class HomeQueries:
    """Fields of `Query` about the home screen."""

    @strawberry.field(description="Feed and story tray together.")
    def home(self) -> Home:
        """Return the home screen; its halves are read when selected."""
        return Home()
