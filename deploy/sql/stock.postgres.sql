-- The source, in PostgreSQL's words; run in the database stream_db. Safe to run again.
create schema if not exists stream_db;
create table if not exists stream_db.stock (
    record_id  serial primary key,
    time       timestamp        not null,
    open       real             not null,
    high       real             not null,
    low        real             not null,
    close      real             not null,
    volume     double precision not null,
    symbol     varchar(40),
    event_time timestamptz default now()
);
-- Feeds look for the minutes they bring (docs/feeds.md).
create index if not exists stock_symbol_time on stream_db.stock (symbol, time);

do $$
begin
    if not exists (select from pg_roles where rolname = 'app') then
        create role app login password 'app';
    end if;
    if not exists (select from pg_roles where rolname = 'debezium') then
        create role debezium login replication password 'dbz';
    end if;
    if not exists (select from pg_publication where pubname = 'stockstream') then
        create publication stockstream for table stream_db.stock;
    end if;
end
$$;
alter role app set search_path = stream_db;
grant usage on schema stream_db to app, debezium;
grant select, insert, update, delete, truncate on stream_db.stock to app;
grant usage on all sequences in schema stream_db to app;
grant select on stream_db.stock to debezium;
