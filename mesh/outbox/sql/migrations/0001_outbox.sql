-- Events that were committed with the rows they tell of and wait to be published. A row lives for milliseconds.
CREATE TABLE outbox (
    outbox_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Becomes Nats-Msg-Id, so that publishing the same row twice stores it once.
    message_id  uuid        NOT NULL DEFAULT gen_random_uuid(),
    subject     text        NOT NULL,
    payload     bytea       NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
