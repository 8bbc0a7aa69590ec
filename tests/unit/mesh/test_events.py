"""mesh.events: where a fact travels is said once, in its proto."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from heliograph.events.v1 import message_events_pb2, post_events_pb2, story_events_pb2
from mesh import events


def test_the_subject_is_filled_from_the_fields():
    fact = post_events_pb2.PostCreated(post_id=7, author_id=42)
    assert events.event(fact).subject == "post.created.42"
    assert post_events_pb2.PostCreated.FromString(events.event(fact).payload) == fact


def test_the_wildcard_of_a_kind_matches_all_its_subjects():
    assert events.subjects(post_events_pb2.PostCreated.DESCRIPTOR) == ("post.created.*",)


def test_a_scheduled_fact_waits_on_another_subject_than_it_appears_on():
    fact = story_events_pb2.ExpiryApproached(second=7)
    assert events.schedule_subject_of(fact) != events.subject_of(fact)


@pytest.mark.parametrize("conversation", ["", "a.b", "a b", "*", ">"])
def test_what_would_change_the_subject_is_refused(conversation):
    fact = message_events_pb2.LogEntryAppended(partition=3, conversation_id=conversation)
    with pytest.raises(ValueError, match="can't stand in a subject"):
        events.subject_of(fact)


def test_a_message_without_a_subject_is_no_event():
    with pytest.raises(ValueError, match="has no subject"):
        events.event(Timestamp())
