"""gRPC in, use case, gRPC out: no rule, no SQL, no try."""

from feed_svc.servicer.admin import AdminServicer
from feed_svc.servicer.feed import FeedServicer
from feed_svc.servicer.graph import GraphServicer
from feed_svc.servicer.post import PostServicer

__all__ = ["AdminServicer", "FeedServicer", "GraphServicer", "PostServicer"]
