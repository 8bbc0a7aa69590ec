"""Merging and comparing feeds."""

from feed_svc.domain import Difference, DifferenceKind, PostId, UserId, compare, merge_newest_first

ME = UserId(1)


def ids(*numbers: int) -> list[PostId]:
    return [PostId(number) for number in numbers]


def found(served: list[PostId], oracle: list[PostId], *, under_way: tuple[int, ...] = (), depth: int = 100):
    return compare(ME, served, oracle_before=oracle, oracle_after=oracle, under_way=ids(*under_way), depth=depth)


def test_a_post_of_two_sources_stands_once() -> None:
    assert merge_newest_first(ids(9, 5, 3), ids(8, 5, 1)) == [9, 8, 5, 3, 1]


def test_every_kind_of_difference_is_found() -> None:
    assert found(ids(9, 8), ids(9, 8)) == []
    assert found(ids(9), ids(9, 8)) == [Difference(ME, PostId(8), DifferenceKind.MISSING)]
    assert found(ids(9, 8), ids(9)) == [Difference(ME, PostId(8), DifferenceKind.EXTRA)]
    assert found(ids(9, 9, 8), ids(9, 8)) == [Difference(ME, PostId(9), DifferenceKind.DOUBLED)]
    assert found(ids(8, 9), ids(9, 8)) == [Difference(ME, PostId(9), DifferenceKind.OUT_OF_ORDER)]


def test_a_post_on_its_way_is_not_missing() -> None:
    assert found(ids(8), ids(9, 8), under_way=(9,)) == []


def test_nothing_is_said_below_the_depth() -> None:
    assert found(ids(9, 8), ids(9, 8, 7), depth=2) == []
