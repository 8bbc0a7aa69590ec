-- name: read_clock
-- The moment at which the server received this statement.
SELECT story_now();

-- name: lock_author
-- Publishes of one author happen one at a time, so that the daily limit holds.
SELECT pg_advisory_xact_lock(hashtextextended('story author ' || %(author_id)s::text, 0));

-- name: count_published
-- How many stories the author published inside the window, deleted ones too, and when the oldest of them leaves it.
SELECT count(*) AS count, min(create_time) + %(time_window)s::interval AS next_time, story_now() AS now
FROM stories
WHERE author_id = %(author_id)s AND create_time > story_now() - %(time_window)s::interval;

-- name: insert_story
-- Times are whole milliseconds of the database's clock. No row when this author's request created its story already.
INSERT INTO stories (author_id, story_id, request_id, upload_id, photo, create_time, expire_time,
                     purge_due_time, purge_try_time)
SELECT %(author_id)s, %(story_id)s, %(request_id)s, %(upload_id)s::uuid, %(photo)s, moment,
       moment + %(lifetime)s::interval, moment + %(lifetime)s::interval + %(purge_delay)s::interval,
       moment + %(lifetime)s::interval + %(purge_delay)s::interval
FROM (SELECT date_trunc('milliseconds', story_now()) AS moment) AS clock
ON CONFLICT (author_id, request_id) DO NOTHING
RETURNING story_id, author_id, request_id, upload_id::text, photo, state, create_time, expire_time, delete_time,
          purge_due_time, purge_time, is_held, hold_reason, hold_time;

-- name: get_record_by_request
-- What the author's request created, in any state.
SELECT story_id, author_id, request_id, upload_id::text, photo, state, create_time, expire_time, delete_time,
       purge_due_time, purge_time, is_held, hold_reason, hold_time
FROM stories
WHERE author_id = %(author_id)s AND request_id = %(request_id)s;

-- name: get_records
-- Stories in any state, in no order; missing ids have no row.
SELECT story_id, author_id, request_id, upload_id::text, photo, state, create_time, expire_time, delete_time,
       purge_due_time, purge_time, is_held, hold_reason, hold_time
FROM stories
WHERE story_id = ANY(%(story_ids)s);

-- name: get_records_by_request
-- Stories of pairs (author, request), in no order: for attachments that name them.
SELECT story_id, author_id, request_id, upload_id::text, photo, state, create_time, expire_time, delete_time,
       purge_due_time, purge_time, is_held, hold_reason, hold_time
FROM stories
WHERE (author_id, request_id) IN (
    SELECT * FROM unnest(%(author_ids)s::bigint[], %(request_ids)s::text[])
);

-- name: live_entries
-- The live stories of these authors, oldest first.
SELECT author_id, story_id, expire_time
FROM stories
WHERE author_id = ANY(%(author_ids)s) AND state = 1 AND expire_time > story_now()
ORDER BY author_id, create_time, story_id;

-- name: delete_story
-- The author's own story, while it is live: tombstoned, and its purge counted from now.
UPDATE stories
SET state = 3, delete_time = date_trunc('milliseconds', story_now()),
    purge_due_time = date_trunc('milliseconds', story_now()) + %(purge_delay)s::interval,
    purge_try_time = date_trunc('milliseconds', story_now()) + %(purge_delay)s::interval
WHERE author_id = %(author_id)s AND story_id = %(story_id)s AND state = 1 AND expire_time > story_now()
RETURNING story_id, author_id, request_id, upload_id::text, photo, state, create_time, expire_time, delete_time,
          purge_due_time, purge_time, is_held, hold_reason, hold_time;

-- name: lock_due
-- Live rows whose time has been over for a grace, most overdue first, that no other sweeper holds.
SELECT story_id, author_id, expire_time
FROM stories
WHERE state = 1 AND expire_time <= story_now() - %(grace)s::interval
ORDER BY expire_time
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- name: ending_between
-- Live stories that end in a stretch of time, first to end first.
SELECT story_id, author_id, expire_time
FROM stories
WHERE state = 1 AND expire_time >= %(begin)s AND expire_time < %(end)s
ORDER BY expire_time, story_id;

-- name: lock_ended
-- Those of these rows that are live and whose time is over, that nobody else holds.
SELECT story_id, author_id, expire_time
FROM stories
WHERE (author_id, story_id) IN (SELECT * FROM unnest(%(author_ids)s::bigint[], %(story_ids)s::bigint[]))
  AND state = 1 AND expire_time <= story_now()
FOR UPDATE SKIP LOCKED;

-- name: still_live
-- Those of these rows that nobody has moved on.
SELECT story_id
FROM stories
WHERE (author_id, story_id) IN (SELECT * FROM unnest(%(author_ids)s::bigint[], %(story_ids)s::bigint[])) AND state = 1;

-- name: expire_stories
-- Live rows among these whose time is over; returns only those that this statement moved.
UPDATE stories
SET state = 2
WHERE (author_id, story_id) IN (SELECT * FROM unnest(%(author_ids)s::bigint[], %(story_ids)s::bigint[]))
  AND state = 1 AND expire_time <= story_now()
RETURNING story_id, author_id, expire_time;

-- name: lock_purgeable
-- Ended rows whose photo is due to be purged, that no other worker holds.
SELECT story_id, author_id, request_id, upload_id::text, photo, state, create_time, expire_time, delete_time,
       purge_due_time, purge_time, is_held, hold_reason, hold_time
FROM stories
WHERE state IN (2, 3) AND NOT is_held AND purge_try_time <= story_now()
ORDER BY purge_try_time
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- name: mark_purged
-- After the photo is gone. Inside the transaction that locked the rows.
UPDATE stories
SET state = 4, purge_time = date_trunc('milliseconds', story_now())
WHERE (author_id, story_id) IN (SELECT * FROM unnest(%(author_ids)s::bigint[], %(story_ids)s::bigint[]))
RETURNING story_id, author_id, request_id, upload_id::text, photo, state, create_time, expire_time, delete_time,
          purge_due_time, purge_time, is_held, hold_reason, hold_time;

-- name: postpone_purge
-- A photo that could not be purged now is tried again later, and does not keep others waiting.
UPDATE stories
SET purge_try_time = story_now() + %(pause)s::interval
WHERE (author_id, story_id) IN (SELECT * FROM unnest(%(author_ids)s::bigint[], %(story_ids)s::bigint[]));

-- name: due
-- How much waits to be expired and to be purged, and since when the most overdue story does.
SELECT expiry.count AS to_expire, purge.count AS to_purge,
       coalesce(extract(epoch FROM story_now() - expiry.oldest), 0)::float8 AS expiry_lag_seconds,
       coalesce(extract(epoch FROM story_now() - purge.oldest), 0)::float8 AS purge_lag_seconds
FROM (SELECT count(*), min(expire_time) AS oldest FROM stories
      WHERE state = 1 AND expire_time <= story_now()) AS expiry,
     (SELECT count(*), min(purge_try_time) AS oldest FROM stories
      WHERE state IN (2, 3) AND NOT is_held AND purge_try_time <= story_now()) AS purge;

-- name: set_hold
-- The flag and its reason; no row for a story that does not exist.
UPDATE stories
SET is_held = %(is_held)s, hold_reason = %(reason)s, hold_time = date_trunc('milliseconds', story_now())
WHERE story_id = %(story_id)s AND state <> 4
RETURNING story_id, author_id, request_id, upload_id::text, photo, state, create_time, expire_time, delete_time,
          purge_due_time, purge_time, is_held, hold_reason, hold_time;

-- name: record_hold
-- The history of holds, in the transaction of the flag.
INSERT INTO story_holds (story_id, author_id, is_held, reason, create_time)
VALUES (%(story_id)s, %(author_id)s, %(is_held)s, %(reason)s, story_now());

-- name: insert_views
-- First sightings of these stories, as their authors see them; a second one changes nothing.
INSERT INTO story_views (story_id, viewer_id, view_time, expire_time)
SELECT story_id, %(viewer_id)s, date_trunc('milliseconds', story_now()), expire_time
FROM unnest(%(story_ids)s::bigint[], %(expire_times)s::timestamptz[]) AS seen (story_id, expire_time)
ON CONFLICT DO NOTHING;

-- name: insert_seen
-- The same sightings as the viewer keeps them.
INSERT INTO story_seen (viewer_id, story_id, expire_time)
SELECT %(viewer_id)s, story_id, expire_time
FROM unnest(%(story_ids)s::bigint[], %(expire_times)s::timestamptz[]) AS seen (story_id, expire_time)
ON CONFLICT DO NOTHING;

-- name: seen_by
-- The live stories that a viewer has seen.
SELECT story_id FROM story_seen WHERE viewer_id = %(viewer_id)s AND expire_time > story_now();

-- name: list_views
-- Who has seen a story, most recent first, behind a position.
SELECT viewer_id, view_time
FROM story_views
WHERE story_id = %(story_id)s AND (view_time, viewer_id) < (%(view_time)s, %(viewer_id)s)
ORDER BY view_time DESC, viewer_id DESC
LIMIT %(limit)s;

-- name: count_views
-- How many have seen a story.
SELECT count(*) FROM story_views WHERE story_id = %(story_id)s;

-- name: forget_views
-- A batch of sightings of stories that ended; they live no longer than the story.
DELETE FROM story_views
WHERE (story_id, viewer_id) IN (
    SELECT story_id, viewer_id FROM story_views WHERE expire_time <= story_now() LIMIT %(limit)s
);

-- name: forget_seen
-- The same, as viewers keep them.
DELETE FROM story_seen
WHERE (viewer_id, story_id) IN (
    SELECT viewer_id, story_id FROM story_seen WHERE expire_time <= story_now() LIMIT %(limit)s
);

-- name: page_of_live
-- Live stories in the order of their ids, behind a position: for reconciliation.
SELECT story_id, author_id, request_id, upload_id::text, photo, state, create_time, expire_time, delete_time,
       purge_due_time, purge_time, is_held, hold_reason, hold_time
FROM stories
WHERE story_id > %(after)s AND state = 1 AND expire_time > story_now()
ORDER BY story_id
LIMIT %(limit)s;

-- name: has_request
-- Whether the author's request created its story already; under the author's lock.
SELECT EXISTS (SELECT 1 FROM stories WHERE author_id = %(author_id)s AND request_id = %(request_id)s);
