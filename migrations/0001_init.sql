-- The first schema. Every table says what it is for and what it costs.

-- Symbols and topics are dictionaries: the wide tables carry small integers, which keeps rows and indexes narrow.
create table symbol (
    symbol_id  integer generated always as identity primary key,
    symbol     text    not null unique,
    simulated  boolean not null default false
);

create table topic (
    topic_id  smallint generated always as identity primary key,
    name      text not null unique
);

-- The replica: one row per primary key of the source table, with its provenance.
--
-- Prices are `numeric` without a scale: a DECIMAL of the source stays exact. No foreign keys: one fenced writer per
-- partition fills the dictionaries in the same transaction, and a key check per row would cost a fifth of the ingest.
-- The primary key appends (sources count upwards); fillfactor leaves room so that corrections are HOT updates, which
-- touch no index as long as symbol and time stay.
create table stock (
    topic_id       smallint    not null,
    record_id      bigint      not null,
    symbol_id      integer     not null,
    time           timestamptz not null,
    open           numeric     not null,
    high           numeric     not null,
    low            numeric     not null,
    close          numeric     not null,
    volume         bigint      not null,
    -- which change made the row, and when it passed each hop
    event_time     timestamptz not null,
    version_epoch  integer     not null, -- the highest version seen for the key, also when that change came late
    version_hi     bigint      not null,
    version_lo     integer     not null,
    incarnation    integer     not null,
    partition      integer     not null,
    "offset"       bigint      not null,
    op             "char"      not null, -- c, u, r
    source_at      timestamptz,          -- committed in the source, as far as the record says
    received_at    timestamptz not null,
    committed_at   timestamptz not null,
    rules          integer     not null, -- bits of the rules that tagged the row; 0 = accepted
    primary key (topic_id, record_id)
) with (fillfactor = 80);

-- People ask by symbol and time.
create index stock_symbol_time on stock (symbol_id, time);

-- What was deleted keeps its version, so that a replayed older change cannot resurrect it.
create table tombstone (
    topic_id       smallint    not null,
    record_id      bigint      not null,
    event_time     timestamptz not null,
    version_epoch  integer     not null,
    version_hi     bigint      not null,
    version_lo     integer     not null,
    incarnation    integer     not null,
    partition      integer     not null,
    "offset"       bigint      not null,
    deleted_at     timestamptz not null,
    primary key (topic_id, record_id)
);

-- What people see: one row per symbol and minute. When a source holds the same minute twice (pollers do that), the
-- newest by event time wins, then the newest version. Conditions on symbol_id and time are pushed into the index.
create view bar as
select distinct on (symbol_id, time) *
from stock
order by symbol_id, time, event_time desc, version_epoch desc, version_hi desc, version_lo desc, topic_id, record_id desc;

-- The truth about how far each partition has been consumed; updated in the transaction of the data itself.
create table kafka_offset (
    topic_id     smallint    not null,
    partition    integer     not null,
    incarnation  integer     not null default 1,
    next_offset  bigint      not null,
    last_hash    bigint      not null, -- of the last record applied: tells a re-created topic from a continued one
    fence        bigint      not null default 0,
    consumed     bigint      not null default 0,
    applied      bigint      not null default 0,
    late         bigint      not null default 0,
    duplicate    bigint      not null default 0,
    deleted      bigint      not null default 0,
    control      bigint      not null default 0,
    quarantined  bigint      not null default 0,
    tagged       bigint      not null default 0, -- of the applied ones
    updated_at   timestamptz not null,
    primary key (topic_id, partition),
    constraint conservation check (consumed = applied + late + duplicate + deleted + control + quarantined)
);

-- Sources in the order in which a partition first saw them; the epoch is the first part of a version.
create table source_epoch (
    topic_id   smallint not null,
    partition  integer  not null,
    ident      text     not null, -- binlog:<server id>:<hash of base name>, postgres:<hash>, kafka:<incarnation>
    epoch      integer  not null,
    primary key (topic_id, partition, ident)
);

-- Every change that had an effect or came late, in commit order: one row per batch, one array element per change. It
-- answers "what changed since seq" for returning clients, and names the record for everything else. As one row per change
-- it would cost a quarter of the whole ingest; as arrays, which are stored as they come, nearly nothing.
create table change_log (
    first_seq     bigint        not null, -- of the first element; the others follow
    last_seq      bigint        not null primary key,
    topic_id      smallint      not null,
    partition     integer       not null,
    incarnation   integer       not null,
    committed_at  timestamptz   not null,
    offsets       bigint[]      not null,
    record_ids    bigint[]      not null,
    symbol_ids    integer[]     not null,
    times         timestamptz[] not null,
    event_times   timestamptz[] not null,
    ops           "char"[]      not null, -- c, u, r, d
    outcomes      "char"[]      not null  -- a applied, l late, d deleted
);
alter table change_log
    alter column offsets set storage external,
    alter column record_ids set storage external,
    alter column symbol_ids set storage external,
    alter column times set storage external,
    alter column event_times set storage external,
    alter column ops set storage external,
    alter column outcomes set storage external;

-- The head of the stream: one row. A batch takes its block of seq here, which also makes commits happen in seq order.
create table stream_head (
    single  boolean primary key default true check (single),
    epoch   uuid   not null default gen_random_uuid(),
    seq     bigint not null default 0
);
insert into stream_head default values;

-- What was refused, as raw bytes: JSON text may hold \u0000, which neither text nor jsonb can.
create table quarantine (
    topic_id      smallint    not null,
    incarnation   integer     not null,
    partition     integer     not null,
    "offset"      bigint      not null,
    received_at   timestamptz not null,
    timestamp_ms  bigint,
    key           bytea,
    value         bytea,
    headers       bytea       not null, -- JSON array of [name, value]
    stage         text        not null, -- decode or rules
    codes         text[]      not null,
    reason        text        not null,
    rule_version  integer     not null,
    primary key (topic_id, incarnation, partition, "offset")
);
