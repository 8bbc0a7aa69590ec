-- When an erasure failed last: those that fail must not stand before the others.
ALTER TABLE erasures ADD COLUMN tried_time timestamptz;
