-- Run once in the database postgres: the source's database and stockstream's own.
select 'create database stream_db' where not exists (select from pg_database where datname = 'stream_db') \gexec
select 'create database stockstream' where not exists (select from pg_database where datname = 'stockstream') \gexec
