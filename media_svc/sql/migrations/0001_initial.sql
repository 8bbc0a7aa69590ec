-- Uploads, the media that they became, and what was removed. Hash-partitioned by the key that their hot transactions
-- share, so that the same schema spreads over machines: uploads by upload, media by place.

CREATE TABLE uploads (
    -- Made from the owner and their request id, so that a request can only ever create one.
    upload_id       uuid        NOT NULL PRIMARY KEY,
    owner_id        bigint      NOT NULL,
    kind            smallint    NOT NULL CHECK (kind BETWEEN 1 AND 4),
    method          smallint    NOT NULL CHECK (method IN (1, 2)),
    content_type    text        NOT NULL,
    size_bytes      bigint      NOT NULL CHECK (size_bytes > 0),
    -- 1 PENDING, 2 PROCESSING, 3 READY, 4 REJECTED.
    status          smallint    NOT NULL CHECK (status BETWEEN 1 AND 4),
    rejected_reason smallint    NOT NULL DEFAULT 0,
    rejected_detail text        NOT NULL DEFAULT '',
    create_time     timestamptz NOT NULL,
    expire_time     timestamptz NOT NULL,
    complete_time   timestamptz,
    finish_time     timestamptz,
    original_sha256 bytea,
    -- The media that it claims (PROCESSING) or is (READY): media is only removed when nobody points to it.
    bucket          text,
    key_prefix      text,
    reference       text,
    attach_time     timestamptz,
    delete_time     timestamptz,
    -- When its claim on the media ended, for ever.
    purge_time      timestamptz,
    is_held         boolean     NOT NULL DEFAULT false,
    multipart_id    text,
    part_size_bytes bigint      NOT NULL DEFAULT 0,
    CHECK ((bucket IS NULL) = (key_prefix IS NULL)),
    CHECK (status <> 3 OR key_prefix IS NOT NULL),
    CHECK ((status = 4) = (rejected_reason <> 0)),
    CHECK ((reference IS NULL) = (attach_time IS NULL))
) PARTITION BY HASH (upload_id);

-- Quotas.
CREATE INDEX uploads_of_owner ON uploads (owner_id, create_time);
-- Who else shows the same media.
CREATE INDEX uploads_of_media ON uploads (key_prefix, bucket) WHERE key_prefix IS NOT NULL AND purge_time IS NULL;
-- What a sweep looks for: given up, stuck, never attached, not yet purged.
CREATE INDEX uploads_pending ON uploads (expire_time) WHERE status = 1;
CREATE INDEX uploads_processing ON uploads (complete_time) WHERE status = 2;
CREATE INDEX uploads_unattached ON uploads (finish_time) WHERE status = 3 AND attach_time IS NULL AND delete_time IS NULL;
CREATE INDEX uploads_unpurged ON uploads (delete_time) WHERE delete_time IS NOT NULL AND purge_time IS NULL;
-- Lists of attachments for their owners.
CREATE INDEX uploads_attached ON uploads (kind, attach_time, upload_id) WHERE attach_time IS NOT NULL;

-- One row for each picture in the object store, however many uploads it came from.
CREATE TABLE media (
    bucket          text        NOT NULL,
    -- Made from a hash of everything that stands under it.
    key_prefix      text        NOT NULL,
    -- Of the upload that made it: the same original needs no second decoding.
    original_sha256 bytea       NOT NULL,
    recipe          integer     NOT NULL,
    variants        jsonb       NOT NULL,
    blurhash        text        NOT NULL,
    dominant_colour text        NOT NULL,
    width           integer     NOT NULL,
    height          integer     NOT NULL,
    create_time     timestamptz NOT NULL,
    -- When all objects stood in the store; NULL while they are written or removed.
    store_time      timestamptz,
    PRIMARY KEY (key_prefix, bucket)
) PARTITION BY HASH (key_prefix);
CREATE INDEX media_by_original ON media (original_sha256);

-- The record of what was removed, and why.
CREATE TABLE deletions (
    deletion_id     bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    upload_id       uuid        NOT NULL,
    owner_id        bigint      NOT NULL,
    bucket          text        NOT NULL,
    key_prefix      text        NOT NULL,
    reason          text        NOT NULL,
    objects_removed integer     NOT NULL,
    purge_time      timestamptz NOT NULL
);
CREATE INDEX deletions_of_upload ON deletions (upload_id);

-- Every hold and every lifting of one; uploads.is_held is the last of them.
CREATE TABLE legal_holds (
    upload_id   uuid        NOT NULL,
    change_time timestamptz NOT NULL,
    is_held     boolean     NOT NULL,
    reason      text        NOT NULL,
    PRIMARY KEY (upload_id, change_time)
);

-- The checksum that a client declared for a part when it was last signed.
CREATE TABLE upload_parts (
    upload_id   uuid     NOT NULL,
    part_number smallint NOT NULL CHECK (part_number BETWEEN 1 AND 100),
    sha256      bytea    NOT NULL CHECK (octet_length(sha256) = 32),
    PRIMARY KEY (upload_id, part_number)
);

DO $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['uploads', 'media'] LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                           parent || '_' || part, parent, part);
        END LOOP;
    END LOOP;
END $$;
