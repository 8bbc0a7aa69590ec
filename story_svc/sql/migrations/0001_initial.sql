-- Stories, who has seen them, and what was ever held. Every table is hash-partitioned by the key that its hot
-- transactions share, so that the same schema spreads over machines: stories by author, sightings by either end.

-- The one clock of the service. Every comparison with an expire_time, in SQL and in the processes (which estimate this
-- very clock), goes through it.
CREATE FUNCTION story_now() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN statement_timestamp();

CREATE TABLE stories (
    author_id      bigint      NOT NULL,
    story_id       bigint      NOT NULL,
    request_id     text        NOT NULL,
    upload_id      uuid        NOT NULL,
    photo          jsonb       NOT NULL,
    -- 1 = live, 2 = expired, 3 = deleted by its author, 4 = photo purged. The row itself stays as the audit record.
    state          smallint    NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 4),
    create_time    timestamptz NOT NULL,
    -- First moment at which it is gone, whatever `state` says: the state follows when the event is handled.
    expire_time    timestamptz NOT NULL,
    delete_time    timestamptz,
    purge_due_time timestamptz NOT NULL,
    -- When the purge is tried next: purge_due_time, later when a try has failed.
    purge_try_time timestamptz NOT NULL,
    purge_time     timestamptz,
    is_held        boolean     NOT NULL DEFAULT false,
    hold_reason    text        NOT NULL DEFAULT '',
    hold_time      timestamptz,
    PRIMARY KEY (author_id, story_id),
    UNIQUE (author_id, request_id),
    CHECK (expire_time > create_time),
    CHECK ((state = 3) <= (delete_time IS NOT NULL)),
    CHECK ((state = 4) = (purge_time IS NOT NULL))
) PARTITION BY HASH (author_id);
CREATE INDEX stories_by_id ON stories (story_id);
CREATE INDEX stories_live ON stories (author_id, expire_time) WHERE state = 1;
CREATE INDEX stories_due ON stories (expire_time) WHERE state = 1;
CREATE INDEX stories_by_day ON stories (author_id, create_time);
CREATE INDEX stories_purgeable ON stories (purge_try_time) WHERE state IN (2, 3) AND NOT is_held;

-- Every change of a legal hold, for ever.
CREATE TABLE story_holds (
    hold_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    story_id    bigint      NOT NULL,
    author_id   bigint      NOT NULL,
    is_held     boolean     NOT NULL,
    reason      text        NOT NULL,
    create_time timestamptz NOT NULL
);
CREATE INDEX story_holds_by_story ON story_holds (story_id);

-- Sightings twice, by either end: who has seen a story, and what a viewer has seen. They live as long as the story.
CREATE TABLE story_views (
    story_id    bigint      NOT NULL,
    viewer_id   bigint      NOT NULL,
    view_time   timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (story_id, viewer_id)
) PARTITION BY HASH (story_id);
CREATE INDEX story_views_recent ON story_views (story_id, view_time DESC, viewer_id DESC);
CREATE INDEX story_views_ended ON story_views (expire_time);

CREATE TABLE story_seen (
    viewer_id   bigint      NOT NULL,
    story_id    bigint      NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (viewer_id, story_id)
) PARTITION BY HASH (viewer_id);
CREATE INDEX story_seen_ended ON story_seen (expire_time);

DO $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['stories', 'story_views', 'story_seen'] LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                           parent || '_' || part, parent, part);
        END LOOP;
    END LOOP;
END $$;
