-- The ordering rule complete: sources that follow each other, truncation and snapshots over several partitions, offsets
-- that were never read.

-- What all partitions of a topic must agree on. Each batch reads `generation` under a share lock, in the statement that
-- advances its offset; whoever changes one of these facts locks the row exclusively and counts it up. So a batch either
-- knows the fact or is committed before it.
alter table topic
    add column generation       bigint  not null default 0,
    -- The newest truncation: a change at or below it that arrives later is one of the emptied table.
    add column truncated_epoch  integer not null default 0,
    add column truncated_hi     bigint  not null default 0,
    add column truncated_lo     integer not null default 0,
    -- The newest snapshot of which the last record has been read: rows below it that a partition still has after passing
    -- it were not mentioned.
    add column snapshot_epoch   integer not null default 0,
    add column snapshot_hi      bigint  not null default 0,
    add column snapshot_lo      integer not null default 0;

-- Sources in the order in which they reigned: the epoch is the first part of a version. It belongs to the topic and not to
-- a partition, so that a truncation, a snapshot or a key that moves when partitions are added compare rightly.
alter table source_epoch rename to source_epoch_0001;
create table source_epoch (
    topic_id  smallint not null,
    epoch     integer  not null,
    ident     text     not null, -- binlog:<server id>:<hash of base name>, postgres:<hash>, kafka:<incarnation>
    from_hi   bigint   not null, -- the record that began it
    from_lo   integer  not null,
    primary key (topic_id, epoch)
);
-- How far each partition has read in each epoch: what is within it and not stamped later has been read before.
create table source_reach (
    topic_id   smallint not null,
    partition  integer  not null,
    epoch      integer  not null,
    hi         bigint   not null,
    lo         integer  not null,
    at         timestamptz,
    primary key (topic_id, partition, epoch)
) with (fillfactor = 50); -- one row of each partition changes with every batch

insert into source_epoch
select distinct on (topic_id, epoch) topic_id, epoch, ident, 0, 0 from source_epoch_0001
order by topic_id, epoch, ident like 'binlog:0:%', partition;
insert into source_reach
select topic_id, partition, version_epoch, (max(array[version_hi, version_lo]))[1], (max(array[version_hi, version_lo]))[2]
from (select topic_id, partition, version_epoch, version_hi, version_lo from stock
      union all select topic_id, partition, version_epoch, version_hi, version_lo from tombstone) versions
group by topic_id, partition, version_epoch;
drop table source_epoch_0001;

-- What a completed snapshot did not mention, partition by partition: deleted, or kept because it was too much.
create table snapshot_sweep (
    topic_id       smallint    not null,
    partition      integer     not null,
    version_epoch  integer     not null, -- of the snapshot's records
    version_hi     bigint      not null,
    version_lo     integer     not null,
    outcome        text        not null check (outcome in ('swept', 'refused')),
    present        bigint      not null, -- rows of the partition
    unmentioned    bigint      not null, -- of those: neither read by the snapshot nor changed since
    limit_percent  smallint    not null, -- how much of `present` was allowed to go
    at             timestamptz not null,
    primary key (topic_id, partition, version_epoch, version_hi, version_lo)
);

-- Offsets that expired in the topic before they were read. Their records are lost to us, and this says so.
create table retention_gap (
    topic_id     smallint    not null,
    partition    integer     not null,
    incarnation  integer     not null,
    from_offset  bigint      not null, -- the first one missing
    to_offset    bigint      not null, -- the first one that is there again
    at           timestamptz not null,
    primary key (topic_id, partition, incarnation, from_offset)
);

-- Tombstones are purged oldest first. They are written in about that order, so a summary per block range finds them, and
-- costs a delete nothing.
create index tombstone_deleted_at on tombstone using brin (deleted_at);
