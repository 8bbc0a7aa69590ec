-- name: lock_media
-- Lets one transaction at a time claim, store or remove the media at a place.
SELECT pg_advisory_xact_lock(hashtextextended('media:' || %(bucket)s::text || '/' || %(key_prefix)s::text, 0));

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
