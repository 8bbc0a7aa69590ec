-- name: add
-- Inside the caller's transaction: the event exists if and only if the rows do.
INSERT INTO outbox (subject, payload) VALUES (%(subject)s, %(payload)s);

-- name: take
-- A batch that no other relay holds, behind what could not be published; the locks live until this transaction ends.
SELECT outbox_id, message_id, subject, payload
FROM outbox
WHERE outbox_id > %(behind)s
ORDER BY outbox_id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- name: remove
-- After the publish acknowledgements.
DELETE FROM outbox WHERE outbox_id = ANY(%(outbox_ids)s);

-- name: lag
-- How many events wait, and for how many seconds the oldest has.
SELECT count(*) AS waiting,
       coalesce(extract(epoch FROM clock_timestamp() - min(create_time)), 0)::float8 AS oldest_seconds
FROM outbox;
