-- How often a log entry that was set aside was tried: once when it came, and again with each replay.
ALTER TABLE dead_letters ADD COLUMN attempts integer NOT NULL DEFAULT 1;
