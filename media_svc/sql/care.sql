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
