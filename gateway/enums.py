"""Enum values with a description."""

from typing import TypeVar, cast

import strawberry

T = TypeVar("T")


def described(value: T, description: str) -> T:
    """Return an enum value that bears a description; Strawberry takes it apart when the enum is declared."""
    return cast(T, strawberry.enum_value(value, description=description))
