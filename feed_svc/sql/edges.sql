-- name: lock_pair
-- Serialises changes of one pair of people, in either direction, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(
    least(%(one)s::bigint, %(other)s::bigint) || ':' || greatest(%(one)s::bigint, %(other)s::bigint), 0));

-- name: insert_follow
-- The edge as the follower keeps it; 0 rows when it exists.
INSERT INTO follows (follower_id, followee_id) VALUES (%(follower_id)s, %(followee_id)s)
ON CONFLICT DO NOTHING;

-- name: insert_follower
-- The same edge as the followee keeps it.
INSERT INTO followers (followee_id, follower_id) VALUES (%(followee_id)s, %(follower_id)s)
ON CONFLICT DO NOTHING;

-- name: delete_follow
-- 0 rows when there is no edge.
DELETE FROM follows WHERE follower_id = %(follower_id)s AND followee_id = %(followee_id)s;

-- name: delete_follower
-- The same edge at the other end.
DELETE FROM followers WHERE followee_id = %(followee_id)s AND follower_id = %(follower_id)s;

-- name: insert_block
-- 0 rows when the block exists.
INSERT INTO blocks (blocker_id, blocked_id) VALUES (%(blocker_id)s, %(blocked_id)s)
ON CONFLICT DO NOTHING;

-- name: insert_blocked_by
-- The same block at the other end.
INSERT INTO blocked_by (blocked_id, blocker_id) VALUES (%(blocked_id)s, %(blocker_id)s)
ON CONFLICT DO NOTHING;

-- name: delete_block
-- 0 rows when there is no block.
DELETE FROM blocks WHERE blocker_id = %(blocker_id)s AND blocked_id = %(blocked_id)s;

-- name: delete_blocked_by
-- The same block at the other end.
DELETE FROM blocked_by WHERE blocked_id = %(blocked_id)s AND blocker_id = %(blocker_id)s;

-- name: block_time
-- When a block was set.
SELECT create_time FROM blocks WHERE blocker_id = %(blocker_id)s AND blocked_id = %(blocked_id)s;

-- name: followees_among
-- Whom of these a person follows.
SELECT followee_id FROM follows
WHERE follower_id = %(viewer_id)s AND followee_id = ANY(%(others)s);

-- name: blocked_among
-- Whom of these a person has blocked.
SELECT blocked_id FROM blocks
WHERE blocker_id = %(viewer_id)s AND blocked_id = ANY(%(others)s);

-- name: blockers_among
-- Who of these has blocked a person.
SELECT blocker_id FROM blocked_by
WHERE blocked_id = %(viewer_id)s AND blocker_id = ANY(%(others)s);

-- name: relations_of_pairs
-- How each first person stands to each second one, in the order of the pairs.
SELECT pair.subject_id,
       pair.object_id,
       EXISTS (SELECT FROM users u WHERE u.user_id = pair.object_id) AS object_exists,
       EXISTS (SELECT FROM follows f
               WHERE f.follower_id = pair.subject_id AND f.followee_id = pair.object_id) AS follows,
       EXISTS (SELECT FROM followers f
               WHERE f.followee_id = pair.subject_id AND f.follower_id = pair.object_id) AS is_followed_by,
       EXISTS (SELECT FROM blocks b
               WHERE b.blocker_id = pair.subject_id AND b.blocked_id = pair.object_id) AS blocks,
       EXISTS (SELECT FROM blocked_by b
               WHERE b.blocked_id = pair.subject_id AND b.blocker_id = pair.object_id) AS is_blocked_by
FROM unnest(%(subjects)s::bigint[], %(objects)s::bigint[]) WITH ORDINALITY AS pair (subject_id, object_id, place)
ORDER BY pair.place;

-- name: list_followees
-- Most recent follow first, behind the edge of `before_time` and `before_id`.
SELECT followee_id AS user_id, create_time
FROM follows
WHERE follower_id = %(user_id)s AND (create_time, followee_id) < (%(before_time)s, %(before_id)s)
ORDER BY create_time DESC, followee_id DESC
LIMIT %(limit)s;

-- name: list_followers
-- By id, behind `after`.
SELECT follower_id FROM followers
WHERE followee_id = %(user_id)s AND follower_id > %(after)s
ORDER BY follower_id
LIMIT %(limit)s;

-- name: list_blocked
-- Most recent block first, behind the block of `before_time` and `before_id`.
SELECT blocked_id AS user_id, create_time
FROM blocks
WHERE blocker_id = %(user_id)s AND (create_time, blocked_id) < (%(before_time)s, %(before_id)s)
ORDER BY create_time DESC, blocked_id DESC
LIMIT %(limit)s;
