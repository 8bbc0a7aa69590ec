-- Hot statements look rows up as `LATERAL (SELECT ... LIMIT 1)`: one descent of an index of one partition for each row.
-- As plain joins they were planned as scans of all partitions, 10 ms at 10,000 conversations.

-- name: get_log_map
-- How conversations map to partitions; the newest version holds.
SELECT version, partitions FROM log_map ORDER BY version DESC LIMIT 1;

-- name: insert_log_map
-- The first start fixes the map; 0 rows when it is fixed already.
INSERT INTO log_map (version, partitions) VALUES (%(version)s, %(partitions)s) ON CONFLICT DO NOTHING;

-- name: insert_positions
-- A row for every partition; those that exist are kept.
INSERT INTO log_positions (partition)
SELECT generate_series(0, %(partitions)s - 1) ON CONFLICT DO NOTHING;

-- name: see_worker
-- Says that a worker lives.
INSERT INTO log_workers (worker_id) VALUES (%(worker_id)s)
ON CONFLICT (worker_id) DO UPDATE SET seen_time = now();

-- name: count_workers
-- How many workers were seen lately.
SELECT count(*) FROM log_workers WHERE seen_time > now() - make_interval(secs => %(within_seconds)s);

-- name: forget_workers
-- Removes this worker, and those that have been gone for long.
DELETE FROM log_workers WHERE worker_id = %(worker_id)s OR seen_time < now() - interval '1 hour';

-- name: try_lock_partition
-- Whether the session owns the partition from now on; the lock ends with the session.
SELECT pg_try_advisory_lock(1684893555, %(partition)s);

-- name: unlock_partition
-- Gives the partition to whoever wants it.
SELECT pg_advisory_unlock(1684893555, %(partition)s);

-- name: raise_fence
-- The new owner's first act: whatever an earlier owner still holds can't be written any more.
UPDATE log_positions SET fence = fence + 1, update_time = now() WHERE partition = %(partition)s
RETURNING position, announced, fence;

-- name: advance_positions
-- In front of the rows, whose time it returns; an error when another owner has taken one of them over.
SELECT advance_positions(%(partitions)s::integer[], %(fences)s::bigint[], %(afters)s::bigint[],
                         %(positions)s::bigint[], %(announceds)s::bigint[]);

-- name: store_announced
-- Between batches, when nothing new comes.
UPDATE log_positions SET announced = greatest(announced, %(announced)s)
WHERE partition = %(partition)s AND fence = %(fence)s;

-- name: get_positions
-- Where every partition stands.
SELECT partition, position FROM log_positions ORDER BY partition;

-- name: get_position
-- Where one partition stands.
SELECT position FROM log_positions WHERE partition = %(partition)s;

-- name: load_threads
-- The conversations of a batch, each with both its members.
SELECT c.conversation_id, c.low_id, c.high_id, c.last_number, c.low_count,
       m.user_id, m.other_id, m.state, m.read_number, m.read_received, m.update_time
FROM unnest(%(conversation_ids)s::text[]) AS asked (conversation_id)
CROSS JOIN LATERAL (
    SELECT * FROM conversations WHERE conversation_id = asked.conversation_id LIMIT 1
) c
CROSS JOIN LATERAL (VALUES (c.low_id), (c.high_id)) AS pair (user_id)
CROSS JOIN LATERAL (
    SELECT * FROM members WHERE user_id = pair.user_id AND conversation_id = c.conversation_id LIMIT 1
) m;

-- name: load_keys
-- Which of these messages are stored.
SELECT k.message_id::text, k.conversation_id, k.number, k.body_digest
FROM unnest(%(message_ids)s::uuid[]) AS asked (message_id)
CROSS JOIN LATERAL (SELECT * FROM message_keys WHERE message_id = asked.message_id LIMIT 1) k;

-- name: load_messages
-- Stored messages that a batch takes back.
SELECT m.conversation_id, m.number, m.message_id::text, m.sender_id, m.client_message_id, m.content, m.photo,
       m.low_count, m.log_sequence, m.send_time, m.unsend_time
FROM message_keys k
JOIN messages m ON m.conversation_id = k.conversation_id AND m.number = k.number
WHERE k.message_id = ANY(%(message_ids)s::uuid[]);

-- name: load_low_counts
-- How many messages the lower member had written at places up to which was read.
SELECT m.conversation_id, m.number, m.low_count
FROM unnest(%(conversation_ids)s::text[], %(numbers)s::bigint[]) AS place (conversation_id, number)
JOIN messages m ON m.conversation_id = place.conversation_id AND m.number = place.number;

-- name: write_changes
-- What a batch changes: conversations, memberships, new messages with the keys by which they are found, inbox entries.
-- In one statement, since each of six costs more than its rows in most batches. Heads of inboxes are moved and locked
-- until the commit in the order of ids, so that two owners can't wait for each other; whoever sees a head therefore sees
-- every entry before it. `back` is how many entries of the same inbox follow. Returns the heads.
WITH thread AS (
    INSERT INTO conversations (conversation_id, low_id, high_id, last_number, low_count)
    SELECT * FROM unnest(%(thread_ids)s::text[], %(low_ids)s::bigint[], %(high_ids)s::bigint[],
                         %(last_numbers)s::bigint[], %(thread_low_counts)s::bigint[])
    ON CONFLICT (conversation_id) DO UPDATE
    SET last_number = excluded.last_number, low_count = excluded.low_count
), member AS (
    INSERT INTO members (user_id, conversation_id, other_id, state, read_number, read_received, update_time)
    SELECT * FROM unnest(%(member_ids)s::bigint[], %(member_threads)s::text[], %(other_ids)s::bigint[],
                         %(states)s::smallint[], %(read_numbers)s::bigint[], %(read_receiveds)s::bigint[],
                         %(update_times)s::timestamptz[])
    ON CONFLICT (user_id, conversation_id) DO UPDATE
    SET state = excluded.state, read_number = excluded.read_number, read_received = excluded.read_received,
        update_time = excluded.update_time
), fresh AS (
    SELECT * FROM unnest(%(conversation_ids)s::text[], %(numbers)s::bigint[], %(message_ids)s::uuid[],
                         %(sender_ids)s::bigint[], %(client_message_ids)s::text[], %(contents)s::text[],
                         %(photos)s::jsonb[], %(low_counts)s::bigint[], %(log_sequences)s::bigint[],
                         %(send_times)s::timestamptz[], %(unsend_times)s::timestamptz[], %(body_digests)s::bytea[])
        AS t (conversation_id, number, message_id, sender_id, client_message_id, content, photo, low_count,
              log_sequence, send_time, unsend_time, body_digest)
), message AS (
    INSERT INTO messages (conversation_id, number, message_id, sender_id, client_message_id, content, photo,
                          low_count, log_sequence, send_time, unsend_time)
    SELECT conversation_id, number, message_id, sender_id, client_message_id, content, photo,
           low_count, log_sequence, send_time, unsend_time
    FROM fresh
), key AS (
    INSERT INTO message_keys (message_id, conversation_id, number, body_digest)
    SELECT message_id, conversation_id, number, body_digest FROM fresh
), head AS (
    INSERT INTO inbox_heads (user_id, head_useq)
    SELECT user_id, added
    FROM unnest(%(head_users)s::bigint[], %(added)s::bigint[]) AS t (user_id, added)
    ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET head_useq = inbox_heads.head_useq + excluded.head_useq
    RETURNING user_id, head_useq, first_useq
), entry AS (
    INSERT INTO inbox (user_id, useq, kind, conversation_id, number, actor_id, unread_count, is_accepted,
                       partition, log_sequence)
    SELECT t.user_id, head.head_useq - t.back, t.kind, t.conversation_id, t.number, t.actor_id, t.unread_count,
           t.is_accepted::boolean, t.partition, t.log_sequence
    FROM unnest(%(entry_users)s::bigint[], %(backs)s::bigint[], %(kinds)s::smallint[], %(entry_threads)s::text[],
                %(entry_numbers)s::bigint[], %(actor_ids)s::bigint[], %(unread_counts)s::bigint[],
                %(is_accepteds)s::integer[], %(partitions)s::integer[], %(entry_sequences)s::bigint[])
        AS t (user_id, back, kind, conversation_id, number, actor_id, unread_count, is_accepted, partition,
              log_sequence)
    JOIN head ON head.user_id = t.user_id
)
SELECT user_id, head_useq, first_useq FROM head;

-- name: take_back
-- Stored messages that a batch takes back: the place stays, text and photo go.
UPDATE messages m
SET content = '', photo = NULL, unsend_time = t.unsend_time
FROM unnest(%(conversation_ids)s::text[], %(numbers)s::bigint[], %(unsend_times)s::timestamptz[])
    AS t (conversation_id, number, unsend_time)
WHERE m.conversation_id = t.conversation_id AND m.number = t.number;

-- name: write_erasures
-- What remains to be removed elsewhere.
INSERT INTO erasures (partition, log_sequence, conversation_id, upload_id, reference)
SELECT *
FROM unnest(%(partitions)s::integer[], %(log_sequences)s::bigint[], %(conversation_ids)s::text[],
            %(upload_ids)s::text[], %(references)s::text[])
ON CONFLICT DO NOTHING;

-- name: write_dead_letter
-- An entry that can't be persisted; again changes nothing.
INSERT INTO dead_letters (partition, log_sequence, subject, payload, error)
VALUES (%(partition)s, %(log_sequence)s, %(subject)s, %(payload)s, %(error)s)
ON CONFLICT DO NOTHING;

-- name: entries_since
-- Inbox entries of these people that came from a part of the log, for announcing them again.
SELECT i.user_id, i.useq, i.kind, i.conversation_id, i.number, i.actor_id, i.unread_count, i.is_accepted,
       i.commit_time, m.message_id::text, m.sender_id, m.client_message_id, m.content, m.photo, m.send_time,
       m.unsend_time
FROM inbox_heads h
JOIN inbox i ON i.user_id = h.user_id AND i.useq > h.head_useq - %(window)s
LEFT JOIN messages m ON m.conversation_id = i.conversation_id AND m.number = i.number AND i.kind IN (1, 3)
WHERE h.user_id = ANY(%(user_ids)s) AND i.partition = %(partition)s AND i.log_sequence > %(after)s
ORDER BY i.user_id, i.useq;

-- name: replay_inbox
-- Entries after a place, oldest first.
SELECT i.user_id, i.useq, i.kind, i.conversation_id, i.number, i.actor_id, i.unread_count, i.is_accepted,
       i.commit_time, m.message_id::text, m.sender_id, m.client_message_id, m.content, m.photo, m.send_time,
       m.unsend_time
FROM inbox i
LEFT JOIN messages m ON m.conversation_id = i.conversation_id AND m.number = i.number AND i.kind IN (1, 3)
WHERE i.user_id = %(user_id)s AND i.useq > %(after)s AND i.useq <= %(head)s
ORDER BY i.useq
LIMIT %(limit)s;

-- name: get_heads
-- Where inboxes end; no row for who has none.
SELECT user_id, head_useq, first_useq FROM inbox_heads WHERE user_id = ANY(%(user_ids)s);

-- name: oldest_inbox_entries
-- Whose inboxes hold entries that are too old to be kept, and up to where.
SELECT user_id, max(useq) AS useq
FROM inbox
WHERE commit_time < now() - make_interval(secs => %(kept_seconds)s)
GROUP BY user_id
ORDER BY user_id
LIMIT %(limit)s;

-- name: forget_inbox
-- Removes entries up to a place.
DELETE FROM inbox WHERE user_id = %(user_id)s AND useq <= %(useq)s;

-- name: raise_inbox_floor
-- A cursor before this place gets RESYNC.
UPDATE inbox_heads SET first_useq = greatest(first_useq, %(useq)s + 1) WHERE user_id = %(user_id)s;

-- name: send_states
-- What must be known before sends, in their order: what the key was used for, and what is between the two.
SELECT s.state AS sender_state, r.state AS recipient_state, coalesce(x.audience, 1) AS recipient_audience,
       coalesce(CASE WHEN c.low_id = send.sender_id THEN c.low_count ELSE c.last_number - c.low_count END, 0)
           AS sent_count,
       k.conversation_id AS known_conversation_id, k.number AS known_number, k.body_digest AS known_digest
FROM unnest(%(message_ids)s::uuid[], %(conversation_ids)s::text[], %(sender_ids)s::bigint[],
            %(recipient_ids)s::bigint[])
    WITH ORDINALITY AS send (message_id, conversation_id, sender_id, recipient_id, place)
LEFT JOIN LATERAL (SELECT * FROM message_keys WHERE message_id = send.message_id LIMIT 1) k ON true
LEFT JOIN LATERAL (SELECT * FROM conversations WHERE conversation_id = send.conversation_id LIMIT 1) c ON true
LEFT JOIN LATERAL (
    SELECT * FROM members WHERE user_id = send.sender_id AND conversation_id = send.conversation_id LIMIT 1
) s ON true
LEFT JOIN LATERAL (
    SELECT * FROM members WHERE user_id = send.recipient_id AND conversation_id = send.conversation_id LIMIT 1
) r ON true
LEFT JOIN LATERAL (SELECT * FROM message_settings WHERE user_id = send.recipient_id LIMIT 1) x ON true
ORDER BY send.place;

-- name: get_conversations
-- A member's conversations by id, in no order; nothing of those of others.
SELECT m.conversation_id, m.user_id, m.other_id, m.state, c.last_number,
       CASE WHEN m.state = 1 AND o.state = 1 THEN o.read_number ELSE 0 END AS other_read_number,
       m.read_number,
       CASE WHEN c.low_id = m.user_id THEN c.last_number - c.low_count ELSE c.low_count END AS received,
       m.read_received, m.update_time, m.state = 1 AND o.state = 1 AS is_mutual,
       l.message_id::text, l.sender_id, l.client_message_id, l.content, l.photo, l.send_time, l.unsend_time
FROM members m
JOIN conversations c ON c.conversation_id = m.conversation_id
JOIN members o ON o.user_id = m.other_id AND o.conversation_id = m.conversation_id
LEFT JOIN messages l ON l.conversation_id = c.conversation_id AND l.number = c.last_number
WHERE m.user_id = %(user_id)s AND m.conversation_id = ANY(%(conversation_ids)s);

-- name: list_conversations
-- A member's conversations of one state, newest message first, behind a place.
SELECT m.conversation_id, m.user_id, m.other_id, m.state, c.last_number,
       CASE WHEN m.state = 1 AND o.state = 1 THEN o.read_number ELSE 0 END AS other_read_number,
       m.read_number,
       CASE WHEN c.low_id = m.user_id THEN c.last_number - c.low_count ELSE c.low_count END AS received,
       m.read_received, m.update_time, m.state = 1 AND o.state = 1 AS is_mutual,
       l.message_id::text, l.sender_id, l.client_message_id, l.content, l.photo, l.send_time, l.unsend_time
FROM members m
JOIN conversations c ON c.conversation_id = m.conversation_id
JOIN members o ON o.user_id = m.other_id AND o.conversation_id = m.conversation_id
LEFT JOIN messages l ON l.conversation_id = c.conversation_id AND l.number = c.last_number
WHERE m.user_id = %(user_id)s AND m.state = %(state)s
  AND (m.update_time, m.conversation_id) < (%(before_time)s, %(before_id)s COLLATE "C")
ORDER BY m.update_time DESC, m.conversation_id DESC
LIMIT %(limit)s;

-- name: list_messages_down
-- Messages of a member's conversation below a number, newest first; nothing for who isn't a member.
SELECT l.conversation_id, l.number, l.message_id::text, l.sender_id, l.client_message_id, l.content, l.photo,
       l.send_time, l.unsend_time
FROM messages l
WHERE l.conversation_id = %(conversation_id)s AND l.number < %(place)s
  AND EXISTS (SELECT FROM members m WHERE m.user_id = %(viewer_id)s AND m.conversation_id = %(conversation_id)s)
ORDER BY l.number DESC
LIMIT %(limit)s;

-- name: list_messages_up
-- The same above a number, oldest first.
SELECT l.conversation_id, l.number, l.message_id::text, l.sender_id, l.client_message_id, l.content, l.photo,
       l.send_time, l.unsend_time
FROM messages l
WHERE l.conversation_id = %(conversation_id)s AND l.number > %(place)s
  AND EXISTS (SELECT FROM members m WHERE m.user_id = %(viewer_id)s AND m.conversation_id = %(conversation_id)s)
ORDER BY l.number
LIMIT %(limit)s;

-- name: get_messages
-- Messages by id in conversations of the viewer, in no order, each with both read pointers.
SELECT l.conversation_id, l.number, l.message_id::text, l.sender_id, l.client_message_id, l.content, l.photo,
       l.send_time, l.unsend_time,
       CASE WHEN l.sender_id <> m.user_id THEN m.read_number
            WHEN m.state = 1 AND o.state = 1 THEN o.read_number
            ELSE 0 END AS recipient_read_number
FROM message_keys k
JOIN messages l ON l.conversation_id = k.conversation_id AND l.number = k.number
JOIN members m ON m.user_id = %(viewer_id)s AND m.conversation_id = l.conversation_id
JOIN members o ON o.user_id = m.other_id AND o.conversation_id = l.conversation_id
WHERE k.message_id = ANY(%(message_ids)s::uuid[]);

-- name: list_partners
-- Whom a person talks with, in conversations that both take part in, most recent first.
SELECT m.other_id
FROM members m
JOIN members o ON o.user_id = m.other_id AND o.conversation_id = m.conversation_id
WHERE m.user_id = %(user_id)s AND m.state = 1 AND o.state = 1
ORDER BY m.update_time DESC
LIMIT %(limit)s;

-- name: get_audience
-- Who may write to a person; no row for who never chose.
SELECT audience FROM message_settings WHERE user_id = %(user_id)s;

-- name: set_audience
-- The choice.
INSERT INTO message_settings (user_id, audience) VALUES (%(user_id)s, %(audience)s)
ON CONFLICT (user_id) DO UPDATE SET audience = excluded.audience;

-- name: list_erasures
-- What remains to be removed elsewhere, with whose inboxes tell of it: what has waited longest since it came or failed.
SELECT e.partition, e.log_sequence, e.upload_id, e.reference, e.conversation_id
FROM erasures e ORDER BY coalesce(e.tried_time, e.create_time) LIMIT %(limit)s;

-- name: postpone_erasure
-- It failed, so the others come first.
UPDATE erasures SET tried_time = now() WHERE partition = %(partition)s AND log_sequence = %(log_sequence)s;

-- name: remove_erasure
-- It is removed.
DELETE FROM erasures WHERE partition = %(partition)s AND log_sequence = %(log_sequence)s;

-- name: list_dead_letters
-- Newest first, below an id.
SELECT dead_letter_id, partition, log_sequence, subject, error, length(payload) AS size_bytes, dead_time, replay_time,
       attempts
FROM dead_letters
WHERE dead_letter_id < %(before)s AND (replay_time IS NULL OR %(include_replayed)s)
ORDER BY dead_letter_id DESC
LIMIT %(limit)s;

-- name: get_dead_letters
-- With their bytes, in no order.
SELECT dead_letter_id, partition, log_sequence, subject, payload, error, dead_time, replay_time, attempts
FROM dead_letters
WHERE dead_letter_id = ANY(%(dead_letter_ids)s);

-- name: lock_dead_letter
-- Whether it still waits to be replayed; nobody else replays it meanwhile.
SELECT replay_time IS NULL FROM dead_letters WHERE dead_letter_id = %(dead_letter_id)s FOR UPDATE;

-- name: note_attempt
-- It is tried again, with whatever outcome.
UPDATE dead_letters SET attempts = attempts + 1 WHERE dead_letter_id = %(dead_letter_id)s;

-- name: note_replay
-- It is in the tables now.
UPDATE dead_letters SET replay_time = now() WHERE dead_letter_id = %(dead_letter_id)s;

-- name: take_partition_aside
-- Keeps the partition's owner from giving numbers until the transaction ends. What the owner remembers is out of date
-- afterwards, so the fence is raised: the owner begins anew.
UPDATE log_positions SET fence = fence + 1, update_time = now() WHERE partition = %(partition)s
RETURNING now();

-- name: begin_snapshot
-- All that follows in the transaction sees one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: verify_threads
-- Conversations to check, by id, behind one; or just one.
SELECT conversation_id, low_id, high_id, last_number
FROM conversations
WHERE conversation_id > %(after)s COLLATE "C" AND (%(only)s = '' OR conversation_id = %(only)s)
ORDER BY conversation_id
LIMIT %(limit)s;

-- name: verify_messages
-- All their messages by number, with those that came from replayed dead letters marked: their place is the replay's.
SELECT m.conversation_id, m.number, m.message_id::text, m.sender_id, m.log_sequence,
       EXISTS (SELECT FROM dead_letters d
               WHERE d.log_sequence = m.log_sequence AND d.subject LIKE '%%.' || m.conversation_id) AS is_replayed
FROM messages m
WHERE m.conversation_id = ANY(%(conversation_ids)s)
ORDER BY m.conversation_id, m.number;

-- name: verify_members
-- Their pointers, with the unread count as it is served.
SELECT m.conversation_id, m.user_id, m.read_number,
       CASE WHEN c.low_id = m.user_id THEN c.last_number - c.low_count ELSE c.low_count END - m.read_received
           AS unread_count
FROM conversations c
CROSS JOIN LATERAL (VALUES (c.low_id), (c.high_id)) AS pair (user_id)
JOIN members m ON m.user_id = pair.user_id AND m.conversation_id = c.conversation_id
WHERE c.conversation_id = ANY(%(conversation_ids)s);

-- name: verify_inboxes
-- Heads as they are served, beside what the entries say.
SELECT h.user_id, h.head_useq, h.first_useq, coalesce(max(i.useq), 0) AS newest, coalesce(min(i.useq), 0) AS oldest,
       count(i.useq) AS entries
FROM inbox_heads h
LEFT JOIN inbox i ON i.user_id = h.user_id
WHERE h.user_id = ANY(%(user_ids)s)
GROUP BY h.user_id, h.head_useq, h.first_useq;

-- name: verify_dead
-- Log entries of a partition that were set aside and not replayed.
SELECT log_sequence FROM dead_letters WHERE partition = %(partition)s AND replay_time IS NULL;
