"""The story, in the order in which it is told."""

from devstack.demo.chapters.endings import endings
from devstack.demo.chapters.messages import messages
from devstack.demo.chapters.people import people
from devstack.demo.chapters.posts import posts
from devstack.demo.chapters.refusals import refusals
from devstack.demo.chapters.stories import stories

CHAPTERS = (people, posts, stories, messages, refusals, endings)

__all__ = ["CHAPTERS"]
