-- name: upsert_user
-- Told by the accounts system.
INSERT INTO users (user_id, username, display_name)
VALUES (%(user_id)s, %(username)s, %(display_name)s)
ON CONFLICT (user_id) DO UPDATE
SET username = excluded.username, display_name = excluded.display_name, update_time = clock_timestamp();

-- name: claim_username
-- Returns the owner of the name after the claim: somebody else's id means that it is taken.
INSERT INTO usernames (username, user_id) VALUES (%(username)s, %(user_id)s)
ON CONFLICT (username) DO UPDATE SET username = excluded.username
RETURNING user_id;

-- name: release_usernames
-- The name that a person no longer bears.
DELETE FROM usernames
WHERE username = (SELECT username FROM users WHERE user_id = %(user_id)s)
  AND username <> %(username)s AND user_id = %(user_id)s;

-- name: lock_user
-- Held until the transaction ends.
SELECT username, display_name FROM users WHERE user_id = %(user_id)s FOR UPDATE;

-- name: get_users
-- Profiles with their counters, in no order; missing ids have no row.
SELECT u.user_id, u.username, u.display_name, u.avatar, u.create_time, u.update_time,
       coalesce(c.follower_count, 0)::bigint AS follower_count,
       coalesce(c.following_count, 0)::bigint AS following_count,
       coalesce(c.post_count, 0)::bigint AS post_count
FROM users u
LEFT JOIN LATERAL (
    SELECT sum(follower_count) AS follower_count, sum(following_count) AS following_count, sum(post_count) AS post_count
    FROM user_counts WHERE user_counts.user_id = u.user_id
) AS c ON true
WHERE u.user_id = ANY(%(user_ids)s);

-- name: get_author_summaries
-- What stands beside posts, without counters; missing ids have no row.
SELECT user_id, username, display_name, avatar, update_time
FROM users
WHERE user_id = ANY(%(user_ids)s);

-- name: user_exists
-- One row when there is such a person.
SELECT 1 FROM users WHERE user_id = %(user_id)s;

-- name: get_user_id_by_username
-- The owner of a name.
SELECT user_id FROM usernames WHERE username = %(username)s;

-- name: count_for_user
-- In the transaction of what is counted: on a row that nobody else holds at this moment, else on a slot drawn by lot.
WITH free AS (
    SELECT slot FROM user_counts WHERE user_id = %(user_id)s LIMIT 1 FOR UPDATE SKIP LOCKED
)
INSERT INTO user_counts AS counts (user_id, slot, follower_count, following_count, post_count)
VALUES (%(user_id)s, coalesce((SELECT slot FROM free), floor(random() * 32)::smallint),
        %(followers)s, %(following)s, %(posts)s)
ON CONFLICT (user_id, slot) DO UPDATE
SET follower_count = counts.follower_count + excluded.follower_count,
    following_count = counts.following_count + excluded.following_count,
    post_count = counts.post_count + excluded.post_count;

-- name: following_count
-- How many a person follows.
SELECT coalesce(sum(following_count), 0)::bigint FROM user_counts WHERE user_id = %(user_id)s;

-- name: follower_count
-- How many follow a person.
SELECT coalesce(sum(follower_count), 0)::bigint FROM user_counts WHERE user_id = %(user_id)s;

-- name: insert_profile_change
-- 0 rows when the request did its change already.
INSERT INTO profile_changes (user_id, request_id, display_name, avatar_upload_id)
VALUES (%(user_id)s, %(request_id)s, %(display_name)s, %(avatar_upload_id)s)
ON CONFLICT (user_id, request_id) DO NOTHING;

-- name: get_profile_change
-- What a request changed.
SELECT display_name, avatar_upload_id FROM profile_changes
WHERE user_id = %(user_id)s AND request_id = %(request_id)s;

-- name: set_display_name
-- 0 rows when there is no such person.
UPDATE users SET display_name = %(display_name)s, update_time = clock_timestamp() WHERE user_id = %(user_id)s;

-- name: set_avatar
-- NULL removes the picture.
UPDATE users SET avatar = %(avatar)s, update_time = clock_timestamp() WHERE user_id = %(user_id)s;

-- name: wrong_user_counts
-- People of a range of ids whose counters differ from a recount; every row is a fault.
SELECT u.user_id
FROM (SELECT user_id FROM users WHERE user_id >= %(first)s ORDER BY user_id LIMIT %(limit)s) AS u
LEFT JOIN LATERAL (
    SELECT sum(follower_count) AS followers, sum(following_count) AS following, sum(post_count) AS posts
    FROM user_counts WHERE user_counts.user_id = u.user_id
) AS c ON true
WHERE (coalesce(c.followers, 0), coalesce(c.following, 0), coalesce(c.posts, 0)) IS DISTINCT FROM (
    (SELECT count(*) FROM followers WHERE followee_id = u.user_id)::numeric,
    (SELECT count(*) FROM follows WHERE follower_id = u.user_id)::numeric,
    (SELECT count(*) FROM posts WHERE author_id = u.user_id AND delete_time IS NULL)::numeric
);

-- name: random_user
-- A person near a random id: where a round of checks begins.
SELECT user_id FROM users
WHERE user_id >= (SELECT min(user_id) + floor(random() * (max(user_id) - min(user_id) + 1))::bigint FROM users)
ORDER BY user_id LIMIT 1;

-- name: draw_users
-- A sample that a seed repeats, as long as the people are the same.
SELECT user_id FROM users
ORDER BY hashint8extended(user_id, %(seed)s)
LIMIT %(limit)s;
