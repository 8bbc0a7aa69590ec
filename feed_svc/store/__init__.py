"""Postgres, the truth: one method per named query or per group that belongs in one transaction.

Methods that take a connection run inside the caller's transaction; the others borrow a connection of their own.
"""

from feed_svc.store.edges import Edges
from feed_svc.store.fan_outs import DeadLetter, FanOutChunk, FanOuts
from feed_svc.store.feeds import Feeds
from feed_svc.store.people import ProfileChange
from feed_svc.store.policies import Policies
from feed_svc.store.posts import Posts


class Store(Edges, Posts, Feeds, FanOuts, Policies):
    """The service's database."""


__all__ = ["DeadLetter", "FanOutChunk", "ProfileChange", "Store"]
