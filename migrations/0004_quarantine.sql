-- What became of a refused record.
--
-- A resolution never deletes: the raw bytes stay, with who decided what and when. `refused_again` is still open: it says
-- that a redrive was tried and how often, so that a record which can only fail is not retried for ever.
--
-- The counters of the partition follow: `kafka_offset.quarantined` is the number of records that are in quarantine and
-- have not been redriven, dismissed ones included (they stay refused); a redriven one moves to the counter of its outcome
-- in the same transaction. So `consumed = applied + late + duplicate + deleted + control + quarantined` holds throughout.
alter table quarantine
    add column resolution          text not null default 'open'
        check (resolution in ('open', 'refused_again', 'redriven', 'dismissed')),
    add column outcome             text
        check (outcome in ('applied', 'late', 'duplicate', 'deleted', 'control')),
    add column attempts            integer not null default 0, -- redrives that were refused
    add column resolved_at         timestamptz,
    add column resolved_by         text,
    add column note                text,
    add column audit_id            bigint, -- the newest row of the audit trail about it; orders redrives among each other
    -- The partition's incarnation and next offset when a redrive took effect: before that record, after the ones before it.
    -- The order of effects is part of the truth, and `verify` folds by it.
    add column effect_incarnation  integer,
    add column effect_offset       bigint,
    add constraint resolution_is_whole check (
        (resolution = 'redriven') = (outcome is not null)
        and (resolution = 'redriven') = (effect_incarnation is not null and effect_offset is not null)
        and (resolution in ('redriven', 'dismissed')) = (resolved_at is not null and resolved_by is not null)
        and (resolution <> 'dismissed' or note is not null)
        and (resolution <> 'refused_again' or attempts > 0));

-- People read it newest first. One more index costs little where little is written: a flood pauses its partition.
create index quarantine_newest on quarantine (received_at, topic_id, incarnation, partition, "offset");
