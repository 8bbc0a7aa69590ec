-- name: lock_owner
-- Lets one upload of a person begin at a time, so that quotas are exact.
SELECT pg_advisory_xact_lock(hashtextextended('owner:' || %(owner_id)s::bigint, 0));

-- name: lock_media
-- Lets one transaction at a time claim, store or remove the media at a place.
SELECT pg_advisory_xact_lock(hashtextextended('media:' || %(bucket)s::text || '/' || %(key_prefix)s::text, 0));

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

-- name: find_media
-- Media that was made of the same original by the same recipe and stands complete in the store.
SELECT bucket, key_prefix, variants, blurhash, dominant_colour, width, height
FROM media
WHERE original_sha256 = %(original_sha256)s AND bucket = %(bucket)s AND recipe = %(recipe)s AND store_time IS NOT NULL
LIMIT 1;

-- name: is_media_stored
-- Asked again under the lock of its place.
SELECT count(*) FROM media
WHERE key_prefix = %(key_prefix)s AND bucket = %(bucket)s AND store_time IS NOT NULL;

-- name: insert_media
-- The row of a picture, before its objects are written; one that exists stays as it is.
INSERT INTO media (bucket, key_prefix, original_sha256, recipe, variants, blurhash, dominant_colour, width, height,
                   create_time)
VALUES (%(bucket)s, %(key_prefix)s, %(original_sha256)s, %(recipe)s, %(variants)s, %(blurhash)s, %(dominant_colour)s,
        %(width)s, %(height)s, %(create_time)s)
ON CONFLICT DO NOTHING;

-- name: claim_media
-- Points a PROCESSING upload to the place of its media; from here nobody else removes what stands there.
UPDATE uploads SET bucket = %(bucket)s, key_prefix = %(key_prefix)s, original_sha256 = %(original_sha256)s
WHERE upload_id = %(upload_id)s AND status = 2;

-- name: mark_stored
-- All objects stand in the store.
UPDATE media SET store_time = %(store_time)s
WHERE key_prefix = %(key_prefix)s AND bucket = %(bucket)s AND store_time IS NULL;

-- name: finish_upload
-- PROCESSING -> READY, once, if it still claims this place.
UPDATE uploads SET status = 3, finish_time = %(finish_time)s
WHERE upload_id = %(upload_id)s AND status = 2 AND key_prefix = %(key_prefix)s AND bucket = %(bucket)s;

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

-- name: other_claims
-- Uploads beside this one that point to the same media.
SELECT count(*) FROM uploads
WHERE key_prefix = %(key_prefix)s AND bucket = %(bucket)s AND purge_time IS NULL AND upload_id <> %(upload_id)s;

-- name: unmark_stored
-- Before objects are removed: from here nobody takes the media for complete.
UPDATE media SET store_time = NULL WHERE key_prefix = %(key_prefix)s AND bucket = %(bucket)s;

-- name: delete_media
-- After its objects are gone.
DELETE FROM media WHERE key_prefix = %(key_prefix)s AND bucket = %(bucket)s;

-- name: purge_upload
-- Ends an upload's claim on its media, for ever.
UPDATE uploads
SET purge_time = %(purge_time)s, delete_time = coalesce(delete_time, %(purge_time)s)
WHERE upload_id = %(upload_id)s AND purge_time IS NULL;

-- name: insert_deletion
-- The record of a removal.
INSERT INTO deletions (upload_id, owner_id, bucket, key_prefix, reason, objects_removed, purge_time)
VALUES (%(upload_id)s, %(owner_id)s, %(bucket)s, %(key_prefix)s, %(reason)s, %(objects_removed)s, %(purge_time)s);

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

-- name: find_abandoned
-- PENDING uploads that nobody can complete any more, oldest first.
SELECT upload_id FROM uploads WHERE status = 1 AND expire_time < %(expired_before)s ORDER BY expire_time LIMIT %(limit)s;

-- name: find_stuck
-- PROCESSING uploads that were queued long ago, oldest first.
SELECT upload_id FROM uploads
WHERE status = 2 AND coalesce(queue_time, complete_time) < %(queued_before)s
ORDER BY coalesce(queue_time, complete_time)
LIMIT %(limit)s;

-- name: requeue_upload
-- Notes that it was queued again; 0 rows when it has moved on or another worker was faster.
UPDATE uploads SET queue_time = %(queue_time)s
WHERE upload_id = %(upload_id)s AND status = 2 AND coalesce(queue_time, complete_time) < %(queued_before)s;

-- name: find_unattached
-- READY photos that waited too long for something to show them, oldest first.
SELECT upload_id FROM uploads
WHERE status = 3 AND attach_time IS NULL AND delete_time IS NULL AND finish_time < %(finished_before)s AND NOT is_held
ORDER BY finish_time
LIMIT %(limit)s;

-- name: delete_unattached
-- Marks such a photo as deleted; 0 rows when it was attached, held or deleted in the meantime.
UPDATE uploads SET delete_time = %(delete_time)s
WHERE upload_id = %(upload_id)s AND status = 3 AND attach_time IS NULL AND delete_time IS NULL AND NOT is_held;

-- name: find_unpurged
-- Deleted photos whose objects are still there: their event was lost, or a hold was lifted.
SELECT upload_id FROM uploads
WHERE delete_time < %(deleted_before)s AND purge_time IS NULL AND NOT is_held
ORDER BY delete_time
LIMIT %(limit)s;

-- name: set_held
-- Of a photo that isn't purged.
UPDATE uploads SET is_held = %(is_held)s WHERE upload_id = %(upload_id)s AND purge_time IS NULL;

-- name: insert_legal_hold
-- The record of a change.
INSERT INTO legal_holds (upload_id, change_time, is_held, reason)
VALUES (%(upload_id)s, %(change_time)s, %(is_held)s, %(reason)s)
ON CONFLICT DO NOTHING;

-- name: last_legal_hold
-- When the flag last changed.
SELECT max(change_time) FROM legal_holds WHERE upload_id = %(upload_id)s;

-- name: list_attachments
-- Of one kind, oldest first, behind a position.
SELECT upload_id, owner_id, reference, attach_time
FROM uploads
WHERE kind = %(kind)s AND attach_time IS NOT NULL AND delete_time IS NULL
  AND (attach_time, upload_id) > (%(after_time)s, %(after_id)s)
  AND attach_time < %(attached_before)s
ORDER BY attach_time, upload_id
LIMIT %(limit)s;

-- name: media_between
-- Media of a bucket whose places lie behind one and up to another, in the order of keys, and whether an upload claims it.
SELECT m.bucket, m.key_prefix, m.variants, m.blurhash, m.dominant_colour, m.width, m.height, m.create_time, m.store_time,
       claim.upload_id
FROM media AS m
LEFT JOIN LATERAL (
    SELECT u.upload_id FROM uploads AS u
    WHERE u.key_prefix = m.key_prefix AND u.bucket = m.bucket AND u.purge_time IS NULL
    LIMIT 1
) AS claim ON true
WHERE m.bucket = %(bucket)s AND m.key_prefix > %(after)s AND (%(up_to)s::text IS NULL OR m.key_prefix <= %(up_to)s)
ORDER BY m.key_prefix
LIMIT %(limit)s;

-- name: media_at
-- One of them, asked again under the lock of its place.
SELECT m.bucket, m.key_prefix, m.variants, m.blurhash, m.dominant_colour, m.width, m.height, m.create_time, m.store_time,
       (SELECT u.upload_id FROM uploads AS u
        WHERE u.key_prefix = m.key_prefix AND u.bucket = m.bucket AND u.purge_time IS NULL
        LIMIT 1) AS upload_id
FROM media AS m
WHERE m.bucket = %(bucket)s AND m.key_prefix = %(key_prefix)s;

-- name: deleted_places
-- Which of these places held media that was removed.
SELECT DISTINCT key_prefix FROM deletions WHERE bucket = %(bucket)s AND key_prefix = ANY(%(key_prefixes)s);

-- name: try_lock_reconciliation
-- One reconciliation at a time, for as long as the connection is held.
SELECT pg_try_advisory_lock(hashtextextended('media:reconciliation', 0));

-- name: unlock_reconciliation
-- At its end.
SELECT pg_advisory_unlock(hashtextextended('media:reconciliation', 0));
