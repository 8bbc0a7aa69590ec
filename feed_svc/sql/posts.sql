-- name: insert_post
-- 0 rows when this author's request created its post already.
INSERT INTO posts (author_id, post_id, request_id, upload_id, photo, caption, alt_text,
                   delivery_mode, policy_version, follower_count, create_time)
VALUES (%(author_id)s, %(post_id)s, %(request_id)s, %(upload_id)s, %(photo)s, %(caption)s, %(alt_text)s,
        %(delivery_mode)s, %(policy_version)s, %(follower_count)s, %(create_time)s)
ON CONFLICT (author_id, request_id) DO NOTHING;

-- name: insert_pull_author
-- With the first post of an author that is stamped PULL.
INSERT INTO pull_authors (author_id) VALUES (%(author_id)s) ON CONFLICT DO NOTHING;

-- name: pull_authors_since
-- Authors with posts stamped PULL who became so at `since` or later, and when that was.
SELECT author_id, create_time FROM pull_authors WHERE create_time >= %(since)s;

-- name: last_delivery_mode
-- The stamp of the author's newest post, deleted or not.
SELECT delivery_mode FROM posts WHERE author_id = %(author_id)s ORDER BY post_id DESC LIMIT 1;

-- name: get_post_by_request
-- What the author's request created, deleted or not.
SELECT post_id, author_id, request_id, upload_id, photo, caption, alt_text,
       delivery_mode, policy_version, follower_count, create_time, delete_time, fan_out_time
FROM posts
WHERE author_id = %(author_id)s AND request_id = %(request_id)s;

-- name: get_posts
-- In no order, deleted ones included; missing ids have no row.
SELECT post_id, author_id, request_id, upload_id, photo, caption, alt_text,
       delivery_mode, policy_version, follower_count, create_time, delete_time, fan_out_time
FROM posts
WHERE post_id = ANY(%(post_ids)s);

-- name: delete_post
-- Tombstones the author's own post; no row when it isn't theirs or is deleted already.
UPDATE posts SET delete_time = now()
WHERE author_id = %(author_id)s AND post_id = %(post_id)s AND delete_time IS NULL
RETURNING post_id, author_id, request_id, upload_id, photo, caption, alt_text,
          delivery_mode, policy_version, follower_count, create_time, delete_time, fan_out_time;

-- name: post_standings
-- How posts stand to a viewer at this moment, rules and counters; one row for each post that exists. `generation` is the
-- viewer's, the same in every row. Each table is asked once for all posts: a look for each costs twice as much.
WITH wanted AS MATERIALIZED (
    SELECT post_id, author_id, delete_time FROM posts WHERE post_id = ANY(%(post_ids)s::bigint[])
), followed AS MATERIALIZED (
    SELECT followee_id FROM follows
    WHERE follower_id = %(viewer_id)s AND followee_id = ANY(ARRAY(SELECT author_id FROM wanted))
), hidden AS MATERIALIZED (
    SELECT blocked_id AS user_id FROM blocks
    WHERE blocker_id = %(viewer_id)s AND blocked_id = ANY(ARRAY(SELECT author_id FROM wanted))
    UNION ALL
    SELECT blocker_id FROM blocked_by
    WHERE blocked_id = %(viewer_id)s AND blocker_id = ANY(ARRAY(SELECT author_id FROM wanted))
), liked AS MATERIALIZED (
    SELECT post_id FROM likes WHERE user_id = %(viewer_id)s AND post_id = ANY(%(post_ids)s::bigint[])
), counted AS MATERIALIZED (
    SELECT post_id, sum(like_count)::bigint AS like_count
    FROM like_counts
    WHERE post_id = ANY(%(post_ids)s::bigint[])
    GROUP BY post_id
)
SELECT post_id,
       author_id,
       delete_time IS NOT NULL AS is_deleted,
       author_id IN (SELECT followee_id FROM followed) AS is_followed,
       author_id IN (SELECT user_id FROM hidden) AS is_hidden,
       post_id IN (SELECT post_id FROM liked) AS viewer_has_liked,
       coalesce(counted.like_count, 0) AS like_count,
       coalesce((SELECT generation FROM feed_generations WHERE user_id = %(viewer_id)s), 0) AS generation
FROM wanted
LEFT JOIN counted USING (post_id);

-- name: list_posts_by_author
-- Newest first, below `before`.
SELECT post_id
FROM posts
WHERE author_id = %(author_id)s AND post_id < %(before)s AND delete_time IS NULL
ORDER BY post_id DESC
LIMIT %(limit)s;

-- name: author_posts_above
-- An author's posts above a place, deleted ones included, newest first.
SELECT post_id
FROM posts
WHERE author_id = %(author_id)s AND post_id > %(above)s
ORDER BY post_id DESC
LIMIT %(limit)s;

-- name: insert_like
-- 0 rows when the like exists.
INSERT INTO likes (user_id, post_id) VALUES (%(user_id)s, %(post_id)s) ON CONFLICT DO NOTHING;

-- name: delete_like
-- 0 rows when there is no like.
DELETE FROM likes WHERE user_id = %(user_id)s AND post_id = %(post_id)s;

-- name: count_likes
-- In the transaction of the like: on a row that nobody else holds at this moment, else on a slot drawn by lot.
WITH free AS (
    SELECT slot FROM like_counts WHERE post_id = %(post_id)s LIMIT 1 FOR UPDATE SKIP LOCKED
)
INSERT INTO like_counts AS counts (post_id, slot, like_count)
VALUES (%(post_id)s, coalesce((SELECT slot FROM free), floor(random() * 32)::smallint), %(change)s)
ON CONFLICT (post_id, slot) DO UPDATE SET like_count = counts.like_count + excluded.like_count;

-- name: wrong_like_counts
-- Posts from an id on whose counters differ from a recount; every row is a fault.
SELECT p.post_id
FROM (SELECT post_id FROM posts WHERE post_id >= %(first)s ORDER BY post_id LIMIT %(limit)s) AS p
WHERE (SELECT count(*) FROM likes l WHERE l.post_id = p.post_id)::numeric
   <> (SELECT coalesce(sum(like_count), 0) FROM like_counts c WHERE c.post_id = p.post_id);

-- name: random_post
-- A post near a random id: where a round of checks begins.
SELECT post_id FROM posts
WHERE post_id >= (SELECT min(post_id) + floor(random() * (max(post_id) - min(post_id) + 1))::bigint FROM posts)
ORDER BY post_id LIMIT 1;
