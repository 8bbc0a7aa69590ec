-- When an upload was last queued for processing: one that is still PROCESSING long after is queued again.
ALTER TABLE uploads ADD COLUMN queue_time timestamptz;
DROP INDEX uploads_processing;
CREATE INDEX uploads_queued ON uploads ((coalesce(queue_time, complete_time))) WHERE status = 2;
-- Reconciliation asks whether a place was emptied on purpose.
CREATE INDEX deletions_of_place ON deletions (key_prefix);
