-- name: upsert_user
-- Told by the accounts system; again with the same values changes nothing but update_time.
INSERT INTO users (user_id, username, display_name)
VALUES (%(user_id)s, %(username)s, %(display_name)s)
ON CONFLICT (user_id) DO UPDATE
SET username = excluded.username, display_name = excluded.display_name, update_time = now();

-- name: claim_username
-- Returns the owner of the name after the claim: somebody else's id means that it is taken.
INSERT INTO usernames (username, user_id) VALUES (%(username)s, %(user_id)s)
ON CONFLICT (username) DO UPDATE SET username = excluded.username
RETURNING user_id;

-- name: release_usernames
-- The names that a person no longer bears.
DELETE FROM usernames
WHERE username = (SELECT username FROM users WHERE user_id = %(user_id)s)
  AND username <> %(username)s AND user_id = %(user_id)s;

-- name: lock_user
-- The person as they are, held until the transaction ends.
SELECT user_id, username, display_name, follower_count, following_count, create_time
FROM users
WHERE user_id = %(user_id)s
FOR UPDATE;

-- name: get_users
-- In no order; missing ids have no row.
SELECT user_id, username, display_name, follower_count, following_count, create_time
FROM users
WHERE user_id = ANY(%(user_ids)s);

-- name: get_user_id_by_username
-- The owner of a name.
SELECT user_id FROM usernames WHERE username = %(username)s;

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

-- name: count_following
-- In the transaction of the edge.
UPDATE users SET following_count = following_count + %(change)s WHERE user_id = %(user_id)s;

-- name: count_follower
-- In the transaction of the edge.
UPDATE users SET follower_count = follower_count + %(change)s WHERE user_id = %(user_id)s;

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
       EXISTS (SELECT FROM follows f
               WHERE f.follower_id = pair.object_id AND f.followee_id = pair.subject_id) AS is_followed_by,
       EXISTS (SELECT FROM blocks b
               WHERE b.blocker_id = pair.subject_id AND b.blocked_id = pair.object_id) AS blocks,
       EXISTS (SELECT FROM blocks b
               WHERE b.blocker_id = pair.object_id AND b.blocked_id = pair.subject_id) AS is_blocked_by
FROM unnest(%(subjects)s::bigint[], %(objects)s::bigint[]) WITH ORDINALITY AS pair (subject_id, object_id, place)
ORDER BY pair.place;

-- name: block_time
-- When a block was set.
SELECT create_time FROM blocks WHERE blocker_id = %(blocker_id)s AND blocked_id = %(blocked_id)s;

-- name: list_followees
-- Most recent follow first, behind the edge of `before_time` and `before_id`.
SELECT followee_id AS user_id, create_time
FROM follows
WHERE follower_id = %(user_id)s AND (create_time, followee_id) < (%(before_time)s, %(before_id)s)
ORDER BY create_time DESC, followee_id DESC
LIMIT %(limit)s;

-- name: list_followers
-- By id, behind `after`: also the keyset by which a post is fanned out.
SELECT follower_id FROM followers
WHERE followee_id = %(user_id)s AND follower_id > %(after)s
ORDER BY follower_id
LIMIT %(limit)s;

-- name: current_policy
-- The newest delivery policy.
SELECT version, pull_threshold FROM delivery_policies ORDER BY version DESC LIMIT 1;

-- name: insert_post
-- 0 rows when this author's request created its post already.
INSERT INTO posts (author_id, post_id, request_id, upload_id, photo, caption, alt_text,
                   delivery_mode, policy_version, create_time)
VALUES (%(author_id)s, %(post_id)s, %(request_id)s, %(upload_id)s, %(photo)s, %(caption)s, %(alt_text)s,
        %(delivery_mode)s, %(policy_version)s, %(create_time)s)
ON CONFLICT (author_id, request_id) DO NOTHING;

-- name: get_post_by_request
-- What the author's request created, deleted or not.
SELECT post_id, author_id, request_id, upload_id::text, photo, caption, alt_text,
       delivery_mode, policy_version, create_time, delete_time
FROM posts
WHERE author_id = %(author_id)s AND request_id = %(request_id)s;

-- name: get_posts
-- In no order, deleted ones included; missing ids have no row.
SELECT post_id, author_id, request_id, upload_id::text, photo, caption, alt_text,
       delivery_mode, policy_version, create_time, delete_time
FROM posts
WHERE post_id = ANY(%(post_ids)s);

-- name: delete_post
-- Tombstones the author's own post; no row when it isn't theirs or is deleted already.
UPDATE posts SET delete_time = now()
WHERE author_id = %(author_id)s AND post_id = %(post_id)s AND delete_time IS NULL
RETURNING post_id, author_id, request_id, upload_id::text, photo, caption, alt_text,
          delivery_mode, policy_version, create_time, delete_time;

-- name: list_posts_by_author
-- Newest first, below `before`.
SELECT post_id
FROM posts
WHERE author_id = %(author_id)s AND post_id < %(before)s AND delete_time IS NULL
ORDER BY post_id DESC
LIMIT %(limit)s;

-- name: pull_feed
-- The home feed computed from the truth alone: one's own posts and those of whom one follows, newest first, below
-- `before`.
-- Each author costs one index scan of at most `limit` rows.
SELECT recent.post_id
FROM (
    SELECT followee_id AS author_id FROM follows WHERE follower_id = %(viewer_id)s
    UNION ALL
    SELECT %(viewer_id)s
) AS authors
CROSS JOIN LATERAL (
    SELECT post_id
    FROM posts
    WHERE posts.author_id = authors.author_id AND post_id < %(before)s AND delete_time IS NULL
    ORDER BY post_id DESC
    LIMIT %(limit)s
) AS recent
ORDER BY recent.post_id DESC
LIMIT %(limit)s;

-- name: pull_stamped
-- The posts stamped PULL among the same authors; what a pushed timeline doesn't hold.
SELECT recent.post_id
FROM (
    SELECT followee_id AS author_id FROM follows WHERE follower_id = %(viewer_id)s
    UNION ALL
    SELECT %(viewer_id)s
) AS authors
CROSS JOIN LATERAL (
    SELECT post_id
    FROM posts
    WHERE posts.author_id = authors.author_id AND delivery_mode = 2
      AND post_id < %(before)s AND delete_time IS NULL
    ORDER BY post_id DESC
    LIMIT %(limit)s
) AS recent
ORDER BY recent.post_id DESC
LIMIT %(limit)s;
