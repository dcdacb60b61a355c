-- The source: one row per bar, written by whoever collects prices. Safe to run again.
create database if not exists stream_db;
create user if not exists app@'%' identified by 'app';
grant all on stream_db.* to app@'%';

-- MariaDB 10.5 split REPLICATION CLIENT: BINLOG MONITOR is its new name. LOCK TABLES is for the snapshot.
create user if not exists debezium@'%' identified by 'dbz';
grant select, reload, show databases, replication slave, binlog monitor, slave monitor, lock tables on *.* to debezium@'%';

use stream_db;
create table if not exists stock (
    record_id  int auto_increment primary key,
    time       datetime not null,
    open       float    not null,
    high       float    not null,
    low        float    not null,
    close      float    not null,
    volume     float    not null,
    symbol     varchar(40),
    event_time datetime default now(),
    -- Feeds look for the minutes they bring (docs/feeds.md).
    index symbol_time (symbol, time)
);
