-- name: lock_owner
-- Lets one upload of a person begin at a time, so that quotas are exact.
SELECT pg_advisory_xact_lock(hashtextextended('owner:' || %(owner_id)s::bigint, 0));

-- name: usage
-- What a person began since a moment, and what of theirs is still open.
SELECT count(*) FILTER (WHERE create_time > %(since)s) AS uploads,
       coalesce(sum(size_bytes) FILTER (WHERE create_time > %(since)s), 0)::bigint AS bytes,
       count(*) FILTER (WHERE status IN (1, 2)) AS open_uploads,
       min(create_time) FILTER (WHERE create_time > %(since)s) AS first_time
FROM uploads
WHERE owner_id = %(owner_id)s AND create_time > %(since_open)s;

-- name: insert_upload
-- A new upload; 0 rows when the request has created one already.
INSERT INTO uploads (upload_id, owner_id, kind, method, content_type, size_bytes, status, create_time, expire_time,
                     multipart_id, part_size_bytes)
VALUES (%(upload_id)s, %(owner_id)s, %(kind)s, %(method)s, %(content_type)s, %(size_bytes)s, 1, %(create_time)s,
        %(expire_time)s, %(multipart_id)s, %(part_size_bytes)s)
ON CONFLICT DO NOTHING;

-- name: get_uploads
-- Uploads with their media, in no order; deleted ones too.
SELECT u.upload_id, u.owner_id, u.kind, u.method, u.content_type, u.size_bytes, u.status, u.rejected_reason,
       u.rejected_detail, u.create_time, u.expire_time, u.complete_time, u.finish_time, u.original_sha256, u.bucket,
       u.key_prefix, u.reference, u.attach_time, u.delete_time, u.purge_time, u.is_held, u.multipart_id,
       u.part_size_bytes, m.variants, m.blurhash, m.dominant_colour, m.width, m.height
FROM uploads AS u
LEFT JOIN media AS m ON m.key_prefix = u.key_prefix AND m.bucket = u.bucket
WHERE u.upload_id = ANY(%(upload_ids)s);

-- name: lock_upload
-- Keeps every other change of an upload waiting until the transaction ends.
SELECT upload_id FROM uploads WHERE upload_id = %(upload_id)s FOR UPDATE;

-- name: renew_form
-- The permission to send bytes ends later; only while they are awaited.
UPDATE uploads SET expire_time = %(expire_time)s WHERE upload_id = %(upload_id)s AND status = 1;

-- name: complete_upload
-- PENDING -> PROCESSING, once; 0 rows when it had moved on.
UPDATE uploads SET status = 2, complete_time = %(complete_time)s
WHERE upload_id = %(upload_id)s AND status = 1;

-- name: reject_upload
-- PENDING or PROCESSING -> REJECTED, once; a claim on media ends with it. 0 rows when it had moved on.
UPDATE uploads
SET status = 4, rejected_reason = %(reason)s, rejected_detail = %(detail)s, finish_time = %(finish_time)s,
    bucket = NULL, key_prefix = NULL, original_sha256 = coalesce(%(original_sha256)s, original_sha256)
WHERE upload_id = %(upload_id)s AND status = ANY(%(statuses)s);

-- name: attach_upload
-- Binds a READY photo to a reference, for ever; again with the same reference it changes nothing and counts 1.
UPDATE uploads
SET reference = %(reference)s, attach_time = coalesce(attach_time, %(attach_time)s)
WHERE upload_id = %(upload_id)s AND owner_id = %(owner_id)s AND kind = %(kind)s AND status = 3
  AND delete_time IS NULL AND (reference IS NULL OR reference = %(reference)s);

-- name: delete_upload
-- Marks a photo as deleted, once, unless it is held; 0 rows when it was deleted before.
UPDATE uploads SET delete_time = %(delete_time)s
WHERE upload_id = %(upload_id)s AND delete_time IS NULL AND NOT is_held;

-- name: set_multipart
-- The name of the collection of parts, written once; returns the one that counts.
UPDATE uploads SET multipart_id = coalesce(multipart_id, %(multipart_id)s) WHERE upload_id = %(upload_id)s
RETURNING multipart_id;

-- name: declare_part
-- The checksum with which a part was signed last.
INSERT INTO upload_parts (upload_id, part_number, sha256) VALUES (%(upload_id)s, %(part_number)s, %(sha256)s)
ON CONFLICT (upload_id, part_number) DO UPDATE SET sha256 = excluded.sha256;

-- name: declared_parts
-- By number.
SELECT part_number, sha256 FROM upload_parts WHERE upload_id = %(upload_id)s ORDER BY part_number;
