-- What the rules over several bars find. They are asked after the commit, from the change log, so that nothing here is on
-- the way of a record.
--
-- One row for each rule, symbol and minute, so that what is found twice is there once. A finding that no longer holds is
-- resolved and not deleted: that it was there is what people ask the day after. Its number stays small beside `stock`: a
-- finding is the exception. The rows are written seldom and updated in place; no partitions, no foreign keys.
create table finding (
    symbol_id    integer     not null, -- 0: no symbol's
    time         timestamptz not null, -- start of the minute it is about
    rule         text        not null,
    severity     text        not null check (severity in ('info', 'warning', 'critical')),
    observed     text,
    expected     text,
    text         text        not null,
    first_seen   timestamptz not null,
    count        bigint      not null default 1, -- judgements that came to it
    resolved_at  timestamptz,
    changed_at   timestamptz not null,
    judged       bigint      not null, -- the last step that found it: of the bars of a step, what has an older one is resolved
    revision     bigint      not null, -- the last step that changed it: every instance tells its sockets of the newer ones
    primary key (symbol_id, time, rule)
);
-- People read all symbols' findings newest first; instances look for new revisions once a second; the clock's rules and the
-- alerts ask for what is open.
create index finding_time on finding (time, symbol_id, rule);
create index finding_revision on finding (revision);
create index finding_open on finding (rule, symbol_id) where resolved_at is null;

-- How far the change log has been looked through: one row. Whoever works holds its lock, for the length of one
-- transaction, which also has the findings: so one instance works at a time, each change is judged once, and an instance
-- that dies leaves nothing behind. The lease is only a preference on top: that the same instance goes on, because it knows
-- what it has told people.
create table pack_watch (
    single      boolean     primary key default true check (single),
    seq         bigint      not null, -- every change up to it has been judged
    step        bigint      not null default 0,
    holder      uuid,
    held_until  timestamptz,
    clock_at    timestamptz,          -- when the clock's rules were last asked
    -- The number of rows that the changes up to `counted_seq` add up to, to compare with the table's.
    counted_at  timestamptz,
    counted_seq bigint,
    counted     bigint
);

-- A log that is whole is judged from its beginning; one that was pruned, from here on: what was found in older rows would be
-- news of long ago.
insert into pack_watch (seq, counted_seq, counted)
select start, case when start = 0 then 0 end, case when start = 0 then 0 end
from (select case when coalesce((select min(first_seq) from change_log), 1) = 1 then 0 else seq end as start
      from stream_head) begun;

-- The newest minute that each symbol had when the change log was looked through, to tell what comes out of order: by then
-- `stock` may already hold what was committed after.
create table pack_symbol (
    symbol_id  integer     primary key,
    newest     timestamptz not null
) with (fillfactor = 50); -- a row of each symbol changes with every step

insert into pack_symbol
select symbol_id, max(time) from stock where (select seq from pack_watch) > 0 group by symbol_id;
