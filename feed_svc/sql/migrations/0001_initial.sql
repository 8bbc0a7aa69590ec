-- People, edges, posts, likes. Every table that grows with people or posts is hash-partitioned by the key that its hot
-- transactions share, so that the same schema spreads over machines: people and edges by person, posts by author,
-- likes by who likes.

CREATE TABLE users (
    user_id          bigint      NOT NULL PRIMARY KEY,
    username         text        NOT NULL,
    display_name     text        NOT NULL,
    -- The profile picture, as in posts.photo; NULL when there is none.
    avatar           jsonb,
    create_time      timestamptz NOT NULL DEFAULT now(),
    -- Orders copies of the profile: an older one never replaces a newer one.
    update_time      timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY HASH (user_id);

-- One row a name in use: a unique name can't be enforced across partitions of users.
CREATE TABLE usernames (
    username text   NOT NULL PRIMARY KEY,
    user_id  bigint NOT NULL
) PARTITION BY HASH (username);

-- What people changed in their profiles, by the request that did it, so that a repeated request changes nothing.
CREATE TABLE profile_changes (
    user_id          bigint      NOT NULL,
    request_id       text        NOT NULL,
    display_name     text,
    avatar_upload_id text,
    create_time      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, request_id)
) PARTITION BY HASH (user_id);

-- Counters of a person, exact with every commit. A person has one row as long as nobody else counts at the same moment;
-- whoever finds the rows held takes another slot, so that a giant's row is no hot spot. The count is the sum.
CREATE TABLE user_counts (
    user_id         bigint   NOT NULL,
    slot            smallint NOT NULL,
    follower_count  bigint   NOT NULL DEFAULT 0,
    following_count bigint   NOT NULL DEFAULT 0,
    post_count      bigint   NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, slot)
) PARTITION BY HASH (user_id);

-- The edges twice, by either end: whom a person follows, and who follows a person.
CREATE TABLE follows (
    follower_id bigint      NOT NULL,
    followee_id bigint      NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (follower_id, followee_id)
) PARTITION BY HASH (follower_id);

CREATE INDEX follows_by_time ON follows (follower_id, create_time DESC, followee_id DESC);

CREATE TABLE followers (
    followee_id bigint      NOT NULL,
    follower_id bigint      NOT NULL,
    PRIMARY KEY (followee_id, follower_id)
) PARTITION BY HASH (followee_id);

-- Blocks by either end too: a pair is hidden from each other whoever blocked.
CREATE TABLE blocks (
    blocker_id  bigint      NOT NULL,
    blocked_id  bigint      NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (blocker_id, blocked_id)
) PARTITION BY HASH (blocker_id);

CREATE INDEX blocks_by_time ON blocks (blocker_id, create_time DESC, blocked_id DESC);

CREATE TABLE blocked_by (
    blocked_id bigint NOT NULL,
    blocker_id bigint NOT NULL,
    PRIMARY KEY (blocked_id, blocker_id)
) PARTITION BY HASH (blocked_id);

-- How often what a person's feed must hold has grown by their own doing: a post of theirs, a follow. Counted in the
-- transaction that does it. What Redis keeps of the feed bears the number that it reflects; another number means that
-- it is not the feed any more.
CREATE TABLE feed_generations (
    user_id    bigint NOT NULL PRIMARY KEY,
    generation bigint NOT NULL
) PARTITION BY HASH (user_id);

-- Who has a timeline in Redis, and read it when (to the hour). Fan-out pushes to these people only; written before the
-- timeline is made, removed after it is gone.
CREATE TABLE timelines (
    user_id        bigint      NOT NULL,
    last_read_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id) INCLUDE (last_read_time)
) PARTITION BY HASH (user_id);
CREATE INDEX timelines_by_read ON timelines (last_read_time);

-- How posts are delivered. A version counts for the authors of its rollout; the others stay with the one before.
CREATE TABLE delivery_policies (
    version            bigint      NOT NULL PRIMARY KEY,
    -- An author with this many followers or more is pulled.
    pull_threshold     bigint      NOT NULL CHECK (pull_threshold BETWEEN 0 AND 1000000000),
    -- Someone pulled last time is pushed again only below this share of the threshold less.
    hysteresis_percent integer     NOT NULL CHECK (hysteresis_percent BETWEEN 0 AND 50),
    rollout_percent    integer     NOT NULL CHECK (rollout_percent BETWEEN 0 AND 100),
    set_by             text        NOT NULL,
    note               text        NOT NULL,
    request_id         text        NOT NULL UNIQUE,
    -- What the request asked for, to notice a key used again for something else.
    requested          jsonb       NOT NULL,
    create_time        timestamptz NOT NULL DEFAULT now()
);
INSERT INTO delivery_policies
    (version, pull_threshold, hysteresis_percent, rollout_percent, set_by, note, request_id, requested)
VALUES (1, 100000, 10, 100, 'feed_svc', 'The first policy.', 'migration 0001', '{}');

-- post_id is time-ordered: it holds the millisecond of creation, and it alone is a post's place in every list.
CREATE TABLE posts (
    author_id      bigint      NOT NULL,
    post_id        bigint      NOT NULL,
    request_id     text        NOT NULL,
    upload_id      text        NOT NULL,
    photo          jsonb       NOT NULL,
    caption        text        NOT NULL,
    alt_text       text        NOT NULL,
    -- The delivery stamp: 1 = pushed to timelines, 2 = pulled when feeds are read. It never changes.
    delivery_mode  smallint    NOT NULL CHECK (delivery_mode IN (1, 2)),
    policy_version bigint      NOT NULL,
    -- The author's followers at that moment.
    follower_count bigint      NOT NULL,
    create_time    timestamptz NOT NULL,
    delete_time    timestamptz,
    -- When fan-out had reached every timeline; NULL while it is under way, and for ever with a PULL stamp.
    fan_out_time   timestamptz,
    PRIMARY KEY (author_id, post_id),
    UNIQUE (author_id, request_id)
) PARTITION BY HASH (author_id);
CREATE INDEX posts_by_id ON posts (post_id);
CREATE INDEX posts_pulled ON posts (author_id, post_id) WHERE delivery_mode = 2 AND delete_time IS NULL;
CREATE INDEX posts_under_way ON posts (post_id) WHERE delivery_mode = 1 AND fan_out_time IS NULL;

-- Authors who have a post stamped PULL.
CREATE TABLE pull_authors (
    author_id   bigint      NOT NULL PRIMARY KEY,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY HASH (author_id);
CREATE INDEX pull_authors_by_time ON pull_authors (create_time);

CREATE TABLE likes (
    user_id     bigint      NOT NULL,
    post_id     bigint      NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, post_id)
) PARTITION BY HASH (user_id);
CREATE INDEX likes_by_post ON likes (post_id);

-- Counters of likes, in slots as in user_counts.
CREATE TABLE like_counts (
    post_id    bigint   NOT NULL,
    slot       smallint NOT NULL,
    like_count bigint   NOT NULL,
    PRIMARY KEY (post_id, slot)
) PARTITION BY HASH (post_id);

-- Chunks of fan-out that were given up. A replay publishes the payload again.
CREATE TABLE fan_out_dead_letters (
    dead_letter_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The chunk's place in its stream: the same message is set aside once.
    stream_sequence   bigint      NOT NULL UNIQUE,
    subject           text        NOT NULL,
    payload           bytea       NOT NULL,
    post_id           bigint      NOT NULL,
    after_follower_id bigint      NOT NULL,
    attempt_count     integer     NOT NULL,
    error             text        NOT NULL,
    dead_time         timestamptz NOT NULL DEFAULT now(),
    replay_time       timestamptz
);

DO $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['users', 'usernames', 'profile_changes', 'user_counts', 'follows', 'followers', 'blocks',
                                  'blocked_by', 'feed_generations', 'timelines', 'posts', 'pull_authors', 'likes',
                                  'like_counts'] LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                           parent || '_' || part, parent, part);
        END LOOP;
    END LOOP;
END $$;
