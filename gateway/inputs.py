"""The one argument of every mutation."""

from typing import Annotated, TypeVar

import strawberry

T = TypeVar("T")

Given = Annotated[T, strawberry.argument(description="What to do.")]
"""`input: Given[CreatePostInput]`"""
