-- name: bump_generation
-- In the transaction of what a person's feed must show from now on; returns the new number.
INSERT INTO feed_generations AS known (user_id, generation) VALUES (%(user_id)s, 1)
ON CONFLICT (user_id) DO UPDATE SET generation = known.generation + 1
RETURNING generation;

-- name: get_generation
-- NULL when there is no such person, 0 when nothing was counted yet.
SELECT coalesce((SELECT generation FROM feed_generations WHERE user_id = %(user_id)s), 0)
FROM users WHERE user_id = %(user_id)s;

-- name: pull_feed
-- The home feed computed from edges and posts alone: one's own posts and those of whom one follows, newest first, below
-- `before`. The newest few (`probe`) of each author first give a bound that the answer can't lie below, so that the second
-- look reads about as many rows as are wanted, however many authors there are.
WITH authors AS MATERIALIZED (
    SELECT followee_id AS author_id FROM follows WHERE follower_id = %(viewer_id)s
    UNION ALL
    SELECT %(viewer_id)s
), bound AS MATERIALIZED (
    SELECT probed.post_id
    FROM authors
    CROSS JOIN LATERAL (
        SELECT post_id
        FROM posts
        WHERE posts.author_id = authors.author_id AND post_id < %(before)s AND delete_time IS NULL
        ORDER BY post_id DESC
        LIMIT %(probe)s
    ) AS probed
    ORDER BY probed.post_id DESC
    OFFSET %(limit)s - 1
    LIMIT 1
)
SELECT recent.post_id
FROM authors
CROSS JOIN LATERAL (
    SELECT post_id
    FROM posts
    WHERE posts.author_id = authors.author_id AND post_id < %(before)s
      AND post_id >= coalesce((SELECT post_id FROM bound), 0) AND delete_time IS NULL
    ORDER BY post_id DESC
    LIMIT %(limit)s
) AS recent
ORDER BY recent.post_id DESC
LIMIT %(limit)s;

-- name: oracle_feed
-- The same feed, said in the plainest words: what every served feed is compared with.
SELECT post_id
FROM posts
WHERE delete_time IS NULL
  AND (author_id = %(viewer_id)s OR author_id IN (SELECT followee_id FROM follows WHERE follower_id = %(viewer_id)s))
  AND author_id NOT IN (SELECT blocked_id FROM blocks WHERE blocker_id = %(viewer_id)s)
  AND author_id NOT IN (SELECT blocker_id FROM blocks WHERE blocked_id = %(viewer_id)s)
ORDER BY post_id DESC
LIMIT %(limit)s;

-- name: posts_under_way
-- Which of these posts wait for their fan-out to end.
SELECT post_id FROM posts
WHERE post_id = ANY(%(post_ids)s) AND delivery_mode = 1 AND fan_out_time IS NULL;

-- name: pulled_authors_of
-- Whom of those a person follows has posts stamped PULL.
SELECT author_id FROM pull_authors
WHERE author_id IN (SELECT followee_id FROM follows WHERE follower_id = %(viewer_id)s);

-- name: recent_pulled
-- The newest posts stamped PULL of each of these authors, as arrays, newest first.
SELECT wanted.author_id,
       ARRAY(SELECT post_id FROM posts
             WHERE posts.author_id = wanted.author_id AND delivery_mode = 2 AND delete_time IS NULL
             ORDER BY post_id DESC
             LIMIT %(limit)s) AS post_ids
FROM unnest(%(authors)s::bigint[]) AS wanted (author_id);

-- name: pulled_below
-- Posts stamped PULL of these authors below `before`, newest first.
SELECT recent.post_id
FROM unnest(%(authors)s::bigint[]) AS wanted (author_id)
CROSS JOIN LATERAL (
    SELECT post_id FROM posts
    WHERE posts.author_id = wanted.author_id AND delivery_mode = 2 AND delete_time IS NULL AND post_id < %(before)s
    ORDER BY post_id DESC
    LIMIT %(limit)s
) AS recent
ORDER BY recent.post_id DESC
LIMIT %(limit)s;

-- name: touch_timeline
-- Before a timeline is made, and when it is read after more than an hour.
INSERT INTO timelines (user_id) VALUES (%(user_id)s)
ON CONFLICT (user_id) DO UPDATE SET last_read_time = now();

-- name: inactive_timelines
-- Whose timelines nobody has read for long, longest first.
SELECT user_id FROM timelines
WHERE last_read_time < now() - make_interval(secs => %(seconds)s)
ORDER BY last_read_time
LIMIT %(limit)s;

-- name: forget_timelines
-- After they are gone from Redis; whoever read in between stays.
DELETE FROM timelines
WHERE user_id = ANY(%(user_ids)s) AND last_read_time < now() - make_interval(secs => %(seconds)s);

-- name: draw_timelines
-- A sample of people who have a timeline.
SELECT user_id FROM timelines
ORDER BY hashint8extended(user_id, %(seed)s)
LIMIT %(limit)s;

-- name: last_read_time
-- When a timeline was read last, to the hour; NULL without one.
SELECT last_read_time FROM timelines WHERE user_id = %(user_id)s;

-- name: fan_out_chunk
-- The next followers of an author, behind `after`: how many, the last one, those who have a timeline that was read
-- in one of two spans of time, and those among them who may have the app open. Ids are packed as big-endian 64-bit
-- numbers, which costs a hundredth of as many rows. An array, not a join: a join reads all timelines there are (83 ms
-- instead of 3 for 5,000 of 100,000).
WITH chunk AS MATERIALIZED (
    SELECT ARRAY(
        SELECT follower_id FROM followers
        WHERE followee_id = %(author_id)s AND follower_id > %(after)s
        ORDER BY follower_id
        LIMIT %(limit)s
    ) AS ids
)
SELECT cardinality((SELECT ids FROM chunk)) AS scanned,
       (SELECT ids[cardinality(ids)] FROM chunk) AS last_follower_id,
       coalesce(string_agg(int8send(t.user_id), ''), '') AS reached,
       coalesce(string_agg(int8send(t.user_id), '') FILTER (WHERE t.last_read_time >= %(live_from)s), '') AS live
FROM timelines t
WHERE t.user_id = ANY ((SELECT ids FROM chunk)::bigint[])
  AND (t.last_read_time >= %(read_from)s AND t.last_read_time < %(read_until)s
       OR t.last_read_time >= %(read_again_from)s);

-- name: finish_fan_out
-- Once: when fan-out had reached everybody.
UPDATE posts SET fan_out_time = clock_timestamp()
WHERE author_id = %(author_id)s AND post_id = %(post_id)s AND fan_out_time IS NULL
RETURNING extract(epoch FROM fan_out_time - create_time)::float8;

-- name: fan_out_lag
-- Posts whose fan-out is under way, and for how many seconds the oldest has been.
SELECT count(*) AS waiting,
       coalesce(extract(epoch FROM clock_timestamp() - min(create_time)), 0)::float8 AS oldest_seconds
FROM posts
WHERE delivery_mode = 1 AND fan_out_time IS NULL;

-- name: insert_dead_letter
-- The same message is set aside once.
INSERT INTO fan_out_dead_letters
    (stream_sequence, subject, payload, post_id, after_follower_id, attempt_count, error)
VALUES (%(stream_sequence)s, %(subject)s, %(payload)s, %(post_id)s, %(after_follower_id)s, %(attempt_count)s, %(error)s)
ON CONFLICT (stream_sequence) DO NOTHING;

-- name: list_dead_letters
-- Not replayed yet, newest first, below `before`.
SELECT dead_letter_id, post_id, after_follower_id, attempt_count, error, dead_time
FROM fan_out_dead_letters
WHERE replay_time IS NULL AND dead_letter_id < %(before)s
ORDER BY dead_letter_id DESC
LIMIT %(limit)s;

-- name: lock_dead_letters
-- Held until the transaction ends, replayed or not.
SELECT dead_letter_id, subject, payload, replay_time IS NOT NULL AS is_replayed
FROM fan_out_dead_letters
WHERE dead_letter_id = ANY(%(dead_letter_ids)s)
FOR UPDATE;

-- name: mark_replayed
-- In the transaction that queues them again.
UPDATE fan_out_dead_letters SET replay_time = now() WHERE dead_letter_id = ANY(%(dead_letter_ids)s);

-- name: explain_posts
-- What is needed to say why posts stand in a feed, beside their standings.
SELECT p.post_id, p.author_id, p.create_time, p.delivery_mode, p.policy_version,
       extract(epoch FROM p.fan_out_time - p.create_time)::float8 AS fan_out_seconds,
       f.create_time AS follow_time,
       EXISTS (SELECT FROM users u WHERE u.user_id = p.author_id) AS author_exists
FROM posts p
LEFT JOIN follows f ON f.follower_id = %(viewer_id)s AND f.followee_id = p.author_id
WHERE p.post_id = ANY(%(post_ids)s);
