-- Moves partitions of the log, or fails. Sent in front of what a batch writes, in one message: when a partition has
-- another owner by now, nothing of the batch is written, without anybody having waited for the answer in between.
CREATE FUNCTION advance_positions(
    partitions integer[], fences bigint[], afters bigint[], positions bigint[], announceds bigint[]
) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    moved integer;
BEGIN
    WITH step AS (
        SELECT * FROM unnest(partitions, fences, afters, positions, announceds)
            AS t (partition, fence, after, position, announced)
    ), locked AS (
        -- In the order of ids, so that two workers can't wait for each other.
        SELECT p.partition, step.position, step.announced
        FROM log_positions p
        JOIN step ON step.partition = p.partition AND step.fence = p.fence AND step.after = p.position
        ORDER BY p.partition
        FOR UPDATE OF p
    )
    UPDATE log_positions p
    SET position = locked.position, announced = greatest(p.announced, locked.announced), update_time = now()
    FROM locked
    WHERE p.partition = locked.partition;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(partitions) THEN
        RAISE EXCEPTION 'of % partitions only % are ours', cardinality(partitions), moved;
    END IF;
    RETURN now();
END $$;
