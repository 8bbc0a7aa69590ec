-- name: list_policies
-- Every version, newest first.
SELECT version, pull_threshold, hysteresis_percent, rollout_percent, set_by, note, create_time
FROM delivery_policies
ORDER BY version DESC;

-- name: lock_policies
-- One change at a time, until the transaction ends.
LOCK TABLE delivery_policies IN SHARE ROW EXCLUSIVE MODE;

-- name: policy_of_request
-- What a request asked for and which version it made.
SELECT version, requested FROM delivery_policies WHERE request_id = %(request_id)s;

-- name: insert_policy
-- Under the lock.
INSERT INTO delivery_policies
    (version, pull_threshold, hysteresis_percent, rollout_percent, set_by, note, request_id, requested)
VALUES (%(version)s, %(pull_threshold)s, %(hysteresis_percent)s, %(rollout_percent)s, %(set_by)s, %(note)s,
        %(request_id)s, %(requested)s);

-- name: threshold_costs
-- For each threshold: authors at or above it, timeline writes that posts of authors below it cause, the largest of
-- these. A post counts with the followers that its author had.
SELECT wanted.threshold,
       count(DISTINCT p.author_id) FILTER (WHERE p.follower_count >= wanted.threshold) AS pulled_author_count,
       coalesce(sum(p.follower_count) FILTER (WHERE p.follower_count < wanted.threshold), 0)::bigint AS pushes,
       coalesce(max(p.follower_count) FILTER (WHERE p.follower_count < wanted.threshold), 0)::bigint AS max_pushes_per_post
FROM unnest(%(thresholds)s::bigint[]) WITH ORDINALITY AS wanted (threshold, place)
LEFT JOIN posts p ON p.post_id >= %(first_post_id)s
GROUP BY wanted.place, wanted.threshold
ORDER BY wanted.place;

-- name: pulls_per_read
-- For each threshold: how many authors at or above it a reader with a timeline follows, on the average of a sample.
WITH readers AS MATERIALIZED (
    SELECT user_id FROM timelines ORDER BY hashint8extended(user_id, 1) LIMIT %(sample)s
), followed AS MATERIALIZED (
    SELECT p.followers
    FROM readers
    JOIN follows f ON f.follower_id = readers.user_id
    JOIN (SELECT author_id, max(follower_count) AS followers FROM posts
          WHERE post_id >= %(first_post_id)s GROUP BY author_id) AS p ON p.author_id = f.followee_id
)
SELECT (SELECT count(*) FROM followed WHERE followers >= wanted.threshold)::float8
       / greatest((SELECT count(*) FROM readers), 1)
FROM unnest(%(thresholds)s::bigint[]) WITH ORDINALITY AS wanted (threshold, place)
ORDER BY wanted.place;

-- name: first_post_time
-- Since when there is history in a window.
SELECT min(create_time) FROM posts WHERE post_id >= %(first_post_id)s;
