-- People, edges, posts. Every table is hash-partitioned by the key that its hot transactions share, so that the same
-- schema spreads over machines: people and edges by person, posts by author.

CREATE TABLE users (
    user_id         bigint      NOT NULL PRIMARY KEY,
    username        text        NOT NULL,
    display_name    text        NOT NULL,
    follower_count  bigint      NOT NULL DEFAULT 0,
    following_count bigint      NOT NULL DEFAULT 0,
    create_time     timestamptz NOT NULL DEFAULT now(),
    update_time     timestamptz NOT NULL DEFAULT now()
) PARTITION BY HASH (user_id);

-- One row a name in use: a unique name can't be enforced across partitions of users.
CREATE TABLE usernames (
    username text   NOT NULL PRIMARY KEY,
    user_id  bigint NOT NULL
) PARTITION BY HASH (username);

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
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (followee_id, follower_id)
) PARTITION BY HASH (followee_id);

-- Blocks by either end too: a pair is hidden from each other whoever blocked.
CREATE TABLE blocks (
    blocker_id  bigint      NOT NULL,
    blocked_id  bigint      NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (blocker_id, blocked_id)
) PARTITION BY HASH (blocker_id);

CREATE TABLE blocked_by (
    blocked_id bigint NOT NULL,
    blocker_id bigint NOT NULL,
    PRIMARY KEY (blocked_id, blocker_id)
) PARTITION BY HASH (blocked_id);

-- How posts are delivered; the newest version holds for new posts.
CREATE TABLE delivery_policies (
    version        bigint      NOT NULL PRIMARY KEY,
    -- An author with this many followers or more is pulled.
    pull_threshold bigint      NOT NULL CHECK (pull_threshold >= 0),
    create_time    timestamptz NOT NULL DEFAULT now()
);
INSERT INTO delivery_policies (version, pull_threshold) VALUES (1, 100000);

-- post_id is time-ordered: it holds the millisecond of creation, and it alone is a post's place in every list.
CREATE TABLE posts (
    author_id      bigint      NOT NULL,
    post_id        bigint      NOT NULL,
    request_id     text        NOT NULL,
    upload_id      uuid        NOT NULL,
    photo          jsonb       NOT NULL,
    caption        text        NOT NULL,
    alt_text       text        NOT NULL,
    -- The delivery stamp: 1 = pushed to timelines, 2 = pulled when feeds are read. It never changes.
    delivery_mode  smallint    NOT NULL CHECK (delivery_mode IN (1, 2)),
    policy_version bigint      NOT NULL,
    create_time    timestamptz NOT NULL,
    delete_time    timestamptz,
    PRIMARY KEY (author_id, post_id),
    UNIQUE (author_id, request_id)
) PARTITION BY HASH (author_id);
CREATE INDEX posts_by_id ON posts (post_id);
CREATE INDEX posts_pulled ON posts (author_id, post_id) WHERE delivery_mode = 2;

DO $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['users', 'usernames', 'follows', 'followers', 'blocks', 'blocked_by', 'posts'] LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                           parent || '_' || part, parent, part);
        END LOOP;
    END LOOP;
END $$;
