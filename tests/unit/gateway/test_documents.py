"""What is remembered of documents is bounded, whatever is sent."""

import gc
import tracemalloc

import pytest

from gateway import documents
from gateway.documents import Document, Documents, PersistedQueryNotFound, hash_of
from tests.unit.gateway.conftest import SCHEMA


def dense(number: int) -> str:
    """A document whose tree is as large as that of a text of its length may be."""
    pages = " ".join(
        f'a{page}: posts(first: {page + 1}, after: "{number}") {{ pageInfo {{ hasNextPage endCursor }} }}'
        for page in range(28)
    )
    return f"{{ viewer {{ {pages} }} }}"


def test_trees_are_kept_within_some_130_megabytes() -> None:
    remembered = Documents(SCHEMA, introspection=True)
    gc.collect()
    tracemalloc.start()
    for number in range(20):
        assert isinstance(remembered.by_text(dense(number)), Document)
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bytes_per_character = taken / sum(len(dense(number)) for number in range(20))
    assert bytes_per_character * documents.KEPT_CHARACTERS < 130_000_000


def test_the_documents_that_were_used_least_recently_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "KEPT_CHARACTERS", 10 * len(dense(0)))
    remembered = Documents(SCHEMA, introspection=True)
    for number in range(30):
        remembered.by_text(dense(0))
        remembered.by_text(dense(number))
    assert dense(0) in remembered._recent
    assert len(remembered._recent) < 10


def test_texts_that_are_kept_by_their_hash_are_bounded_and_may_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PERSISTED_CHARACTERS", 1_000)
    remembered = Documents(SCHEMA, introspection=True)
    texts = ["{ viewer { id } }" + " " * number for number in range(100)]
    for text in texts:
        remembered.by_hash(hash_of(text), text)
    assert sum(map(len, remembered._persisted.values())) == remembered._persisted_characters <= 1_000
    with pytest.raises(PersistedQueryNotFound):
        remembered.by_hash(hash_of(texts[0]), None)
    assert remembered.by_hash(hash_of(texts[0]), texts[0]) is remembered.by_hash(hash_of(texts[0]), None)
