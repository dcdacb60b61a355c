-- Which suites the records of the stream were judged by, so that whoever comes later can judge them again the same way.
--
-- A set of suites is kept whole, as it was loaded: its file may have changed since. Text and not jsonb, because the digest
-- is of exactly these characters.
create table suite_set (
    suite_set_id integer     generated always as identity primary key,
    digest       text        not null unique, -- SHA-256 of `suites`, in hex
    suites       text        not null,        -- JSON array of suites, as Great Expectations writes them
    first_seen   timestamptz not null default now()
);

-- From which offset on a partition's records were judged by which set, up to its next row; before its first row, and where
-- the set is null, by no suite. A writer adds a row when it takes a partition over with other suites than the one before
-- it: nearly never, and nothing at all where no suites are configured.
create table judgement (
    topic_id     smallint    not null references topic,
    partition    integer     not null,
    incarnation  integer     not null,
    from_offset  bigint      not null,
    suite_set_id integer     references suite_set,
    rule_version integer     not null, -- of the built-in rules
    since        timestamptz not null,
    primary key (topic_id, partition, incarnation, from_offset)
);

-- A refused record is judged again by every redrive: what it was last judged by stands with it and not by its offset.
alter table quarantine add column suite_set_id integer references suite_set;

-- The expectations of severity warning that a row does not meet. A row has room for them already: the upper half of
-- `stock.rules` is the number of such a set, 0 for none, and the lower half stays the bits of the built-in rules. So a row
-- is not one byte longer, and what tagged it can still be told when the suites have changed. Sets that occur are few,
-- since rows break expectations alike; should there ever be more than there are numbers, the last one stands for the rest.
create table suite_tag (
    tag_id smallint primary key check (tag_id between 1 and 32767),
    codes  text[]   not null unique
);
insert into suite_tag values (32767, '{suite:more}');
