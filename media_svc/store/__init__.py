"""Postgres, the truth: one method per named query or per group that belongs in one transaction.

Methods that take a connection run inside the caller's transaction; the others borrow a connection of their own.
"""

from media_svc.store.care import Care
from media_svc.store.media import Media
from media_svc.store.uploads import Uploads


class Store(Uploads, Media, Care):
    """The service's database."""


__all__ = ["Store"]
