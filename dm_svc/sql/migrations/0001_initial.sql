-- Conversations, messages, inboxes, and where the workers stand in the log. Every table that grows is hash-partitioned
-- by the key that its hot transactions share: messages by conversation, inboxes and memberships by person.

-- How conversations map to partitions of the log; a change of the number of partitions would change the order.
CREATE TABLE log_map (
    version    integer NOT NULL PRIMARY KEY,
    partitions integer NOT NULL CHECK (partitions BETWEEN 1 AND 100)
);

-- Where each partition's owner stands.
CREATE TABLE log_positions (
    partition   integer     NOT NULL PRIMARY KEY,
    -- Sequence of the last log entry whose effects are in the tables.
    position    bigint      NOT NULL DEFAULT 0,
    -- Up to which sequence the effects have been announced; at most `position`.
    announced   bigint      NOT NULL DEFAULT 0,
    -- Grows with every change of owner: an owner that knows an older one writes nothing.
    fence       bigint      NOT NULL DEFAULT 0,
    update_time timestamptz NOT NULL DEFAULT now()
);

-- Processes that share the partitions; one that has not been seen for some seconds is gone.
CREATE TABLE log_workers (
    worker_id uuid        NOT NULL PRIMARY KEY,
    seen_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE conversations (
    conversation_id text        NOT NULL COLLATE "C",
    low_id          bigint      NOT NULL,
    high_id         bigint      NOT NULL CHECK (high_id > low_id),
    -- Number of the newest message.
    last_number     bigint      NOT NULL,
    -- How many of them the member with the lower id wrote; the other wrote the rest.
    low_count       bigint      NOT NULL,
    PRIMARY KEY (conversation_id)
) PARTITION BY HASH (conversation_id);

-- A conversation as one member has it.
CREATE TABLE members (
    user_id         bigint      NOT NULL,
    conversation_id text        NOT NULL COLLATE "C",
    other_id        bigint      NOT NULL,
    -- 1 = active, 2 = requested, 3 = ignored.
    state           smallint    NOT NULL CHECK (state IN (1, 2, 3)),
    -- The pointer: the member has read up to this number.
    read_number     bigint      NOT NULL DEFAULT 0,
    -- How many messages of the other stand at or before it: unread = all of theirs - these.
    read_received   bigint      NOT NULL DEFAULT 0,
    -- When the newest message was accepted.
    update_time     timestamptz NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
) PARTITION BY HASH (user_id);
CREATE INDEX members_newest ON members (user_id, state, update_time DESC, conversation_id DESC);

CREATE TABLE messages (
    conversation_id   text        NOT NULL COLLATE "C",
    number            bigint      NOT NULL,
    message_id        uuid        NOT NULL,
    sender_id         bigint      NOT NULL,
    client_message_id text        NOT NULL,
    content           text        NOT NULL,
    photo             jsonb,
    -- How many of the first `number` messages the member with the lower id wrote.
    low_count         bigint      NOT NULL,
    log_sequence      bigint      NOT NULL,
    send_time         timestamptz NOT NULL,
    unsend_time       timestamptz,
    PRIMARY KEY (conversation_id, number)
) PARTITION BY HASH (conversation_id);

-- Finds a message by its id, which is made from the sender and their key: that makes a key unique, for ever.
CREATE TABLE message_keys (
    message_id      uuid   NOT NULL PRIMARY KEY,
    conversation_id text   NOT NULL COLLATE "C",
    number          bigint NOT NULL,
    body_digest     bytea  NOT NULL
) PARTITION BY HASH (message_id);

-- One log per person. It refers to messages, so that one that is taken back is gone from here too.
CREATE TABLE inbox (
    user_id         bigint      NOT NULL,
    useq            bigint      NOT NULL,
    -- 1 = message, 2 = read, 3 = unsent, 4 = request decided.
    kind            smallint    NOT NULL CHECK (kind BETWEEN 1 AND 4),
    conversation_id text        NOT NULL COLLATE "C",
    -- Of the message, or up to which was read.
    number          bigint      NOT NULL,
    actor_id        bigint      NOT NULL,
    unread_count    bigint      NOT NULL,
    is_accepted     boolean     NOT NULL,
    partition       integer     NOT NULL,
    log_sequence    bigint      NOT NULL,
    commit_time     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, useq)
) PARTITION BY HASH (user_id);
-- Finds what is too old to be kept; rows come in the order of time, so it costs next to nothing.
CREATE INDEX inbox_by_time ON inbox USING brin (commit_time);

-- Where each inbox ends and begins.
CREATE TABLE inbox_heads (
    user_id    bigint NOT NULL PRIMARY KEY,
    head_useq  bigint NOT NULL,
    first_useq bigint NOT NULL DEFAULT 1
) PARTITION BY HASH (user_id);

CREATE TABLE message_settings (
    user_id  bigint   NOT NULL PRIMARY KEY,
    -- 1 = everyone, 2 = people they follow, 3 = nobody.
    audience smallint NOT NULL CHECK (audience IN (1, 2, 3))
) PARTITION BY HASH (user_id);

-- What remains to be removed elsewhere of messages that were taken back: the log entry, and the photo if there is one.
CREATE TABLE erasures (
    partition       integer     NOT NULL,
    log_sequence    bigint      NOT NULL,
    conversation_id text        NOT NULL COLLATE "C",
    upload_id       text,
    reference       text,
    create_time     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, log_sequence)
);

-- Log entries that could not be decoded or persisted.
CREATE TABLE dead_letters (
    dead_letter_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition      integer     NOT NULL,
    log_sequence   bigint      NOT NULL,
    subject        text        NOT NULL,
    payload        bytea       NOT NULL,
    error          text        NOT NULL,
    dead_time      timestamptz NOT NULL DEFAULT now(),
    replay_time    timestamptz,
    UNIQUE (partition, log_sequence)
);

DO $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['conversations', 'members', 'messages', 'message_keys', 'inbox', 'inbox_heads',
                                  'message_settings'] LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                           parent || '_' || part, parent, part);
        END LOOP;
    END LOOP;
END $$;
