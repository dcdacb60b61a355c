-- How fresh the data was, minute by minute, for the public history of it: one row per minute in which a process ran.
--
-- Each instance adds what it committed itself: changes add up, the worst of two percentiles stays, and so does the longer
-- time in which the pipeline could not work. So no instance has to be chosen to write, and none is missed when it dies: at
-- most its last minute is. A minute without a row is one in which nobody measured, which is not the same as a good one.
--
-- A row is 60 bytes, 35 days of them are three megabytes; older ones are deleted. The primary key is the order of
-- reading, so there is no other index.
create table freshness_minute (
    minute        timestamptz not null primary key, -- its beginning
    changes       bigint      not null, -- of candles, committed in it; reading a snapshot makes none
    in_budget     bigint      not null, -- of them, those committed within the budget after the source had committed them
    p50_us        bigint,               -- from the source's commit to ours; null without changes
    p99_us        bigint,
    down_seconds  smallint    not null, -- in which something that the pipeline needs was away, or it was held with records waiting
    constraint shares check (in_budget between 0 and changes),
    constraint measured check ((changes = 0) = (p99_us is null) and (p50_us is null) = (p99_us is null)),
    constraint seconds check (down_seconds between 0 and 60)
);
