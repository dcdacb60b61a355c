-- Run once in the database postgres: the source's database and stockstream's own.
select 'create database stream_db' where not exists (select from pg_database where datname = 'stream_db') \gexec
select 'create database stockstream' where not exists (select from pg_database where datname = 'stockstream') \gexec

-- Whoever draws dashboards from the store reads as this user: what stockstream's own readers may, and nothing else. The role
-- is stockstream's; its first migration finds it here.
select 'create role stockstream_reader nologin' where not exists (select from pg_roles where rolname = 'stockstream_reader') \gexec
select 'create role grafana login password ''grafana''' where not exists (select from pg_roles where rolname = 'grafana') \gexec
grant stockstream_reader to grafana;
