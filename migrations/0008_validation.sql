-- What expectation suites found, one row per run. Results stay as Great Expectations writes them, so that whoever reads
-- those reads these; what people filter by and draw is beside them.
create table validation_run (
    run_id       bigint      generated always as identity primary key,
    suite        text        not null,
    asset        text        not null, -- the table, or the stream
    cause        text        not null check (cause in ('schedule', 'demand', 'window')),
    started_at   timestamptz not null,
    finished_at  timestamptz not null,
    success      boolean     not null,
    evaluated    integer     not null, -- expectations
    met          integer     not null, -- of them
    result       jsonb       not null
);
create index validation_run_suite on validation_run (suite, run_id desc);

-- One row per expectation of a run, for its trend. `expectation` is a hash of its type and arguments, so that an
-- expectation keeps its trend when others are added before it.
create table validation_expectation (
    run_id       bigint           not null references validation_run on delete cascade,
    place        integer          not null, -- in the suite, from 0
    expectation  bigint           not null,
    success      boolean          not null,
    observed     double precision,          -- the observed value, where it is a number
    unexpected   double precision,          -- percent of the values that are not null
    primary key (run_id, place)
);
create index validation_expectation_trend on validation_expectation (expectation, run_id desc);
