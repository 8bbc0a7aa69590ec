"""Page tokens, and who is asking."""

from typing import Any

from feed_svc.domain import FIRST_POSITION, Edge, Page, PostId, UserId
from feed_svc.usecases.list_people import NEWEST
from mesh import auth
from mesh.clock import from_us, to_us
from mesh.cursor import CursorSigner

Context = Any
GATEWAY = "gateway"


def viewer() -> UserId:
    """Return the person of the call; `Unauthenticated` without a token."""
    return UserId(auth.viewer_id())


def viewer_or_none() -> UserId | None:
    """Return the person of the call. The gateway always speaks for one; other services may ask as themselves."""
    if auth.caller.get() == GATEWAY:
        return viewer()
    person = auth.current_viewer()
    return UserId(person.user_id) if person else None


def position(cursors: CursorSigner, scope: str, page_token: str) -> PostId:
    """Return the place that a page token names."""
    return PostId(cursors.decode_ints(scope, page_token, 1)[0]) if page_token else FIRST_POSITION


def next_page_token(cursors: CursorSigner, scope: str, page: Page) -> str:
    """Return the token behind a page; empty at the end."""
    return cursors.encode(scope, page.next_before) if page.next_before is not None else ""


def cursors_of(cursors: CursorSigner, scope: str, page: Page) -> list[str]:
    """Return a token for each post, to go on right behind it."""
    return [cursors.encode(scope, view.post_id) for view in page.views]


def edge(cursors: CursorSigner, scope: str, page_token: str) -> Edge:
    """Return the edge that a page token names."""
    if not page_token:
        return NEWEST
    time_us, user_id = cursors.decode_ints(scope, page_token, 2)
    return Edge(UserId(user_id), from_us(time_us))


def edge_token(cursors: CursorSigner, scope: str, last: Edge) -> str:
    """Return the token behind an edge."""
    return cursors.encode(scope, to_us(last.create_time), last.user_id)
