"""What every object with an id has in common."""

import strawberry


@strawberry.interface(description="Anything with a global id; `node(id)` finds it again.")
class Node:
    """A thing that can be fetched again by its id."""

    @strawberry.field(description="Opaque, globally unique id.")
    def id(self) -> strawberry.ID:
        """Return the id; every node has its own."""
        raise NotImplementedError
