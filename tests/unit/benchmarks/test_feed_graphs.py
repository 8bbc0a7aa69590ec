"""Graphs of people for the feed's benchmarks."""

import numpy as np

from benchmarks.feed_graphs import REED_FRIENDSHIPS, REED_PEOPLE, Graph, audience, crowd, friendships, joined


def ids(*numbers: int):
    return np.array(numbers, dtype=np.int64)


def test_the_made_graph_has_the_shape_of_the_real_one(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("benchmarks.feed_graphs.REED_FILE", tmp_path / "absent")
    monkeypatch.delenv("GRAPH", raising=False)
    made = friendships(1_000)
    assert len(made.people) == REED_PEOPLE
    assert abs(len(made.followers) / (2 * REED_FRIENDSHIPS) - 1) < 0.01
    edges = set(zip(made.followers.tolist(), made.followees.tolist(), strict=True))
    assert edges == {(followee, follower) for follower, followee in edges}


def test_a_file_of_friendships_is_read_both_ways(monkeypatch, tmp_path) -> None:
    (tmp_path / "two.edges").write_text("1 0\n2 1\n")
    monkeypatch.setenv("GRAPH", str(tmp_path / "two.edges"))
    read = friendships(10)
    assert sorted(zip(read.followers.tolist(), read.followees.tolist(), strict=True)) == [
        (10, 11), (11, 10), (11, 12), (12, 11)
    ]  # fmt: skip


def test_joined_graphs_have_each_edge_once_and_nobody_follows_themselves() -> None:
    graph = joined([audience(1, ids(1, 2, 3)), Graph("named", ids(2), ids(1)), audience(4, ids(2))])
    assert sorted(zip(graph.followers.tolist(), graph.followees.tolist(), strict=True)) == [(2, 1), (2, 4), (3, 1)]
    assert graph.name == "named"


def test_everybody_of_a_crowd_follows_as_many_different_people() -> None:
    graph = crowd(ids(1, 2, 3), ids(*range(10, 30)), each=5, seed=1)
    for person in (1, 2, 3):
        assert len(set(graph.followees[graph.followers == person].tolist())) == 5
