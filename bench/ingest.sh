#!/usr/bin/env bash
# How fast a real Kafka topic of change events gets into PostgreSQL, next to its floors and to Debezium's JDBC sink.
#
#   bench/ingest.sh [--rounds N] [--only ARM[,ARM…]] [--keep] [--no-build]
#
# Arms, run one after the other in each round, in rotating order:
#   consume       librdkafka reads the topic and throws it away
#   stockstream   `stockstream serve`: decode, rules, versions, change log, counters, offsets
#   copy          binary COPY of the rows that stockstream ended with into its own empty table
#   jdbc          Debezium's JDBC sink, tuned: upsert, large fetches and batches, rewritten inserts, reduction buffer
#                 (its own UNNEST statement is not used: version 3.5.0 sends times as numbers there, and fails)
#
# Rows per CPU-second count the program and all of PostgreSQL's processes, its closing checkpoint included, but not the
# broker. Wrong keys are those whose row differs from bench/oracle.sql's answer. BENCH_RECORDS (300000) scales the topic.
# --keep leaves Kafka, PostgreSQL and Connect running for the next call; --no-build takes the binaries as they are.
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
RECORDS=${BENCH_RECORDS:-300000}
ROUNDS=3 ONLY=consume,stockstream,copy,jdbc KEEP=0 BUILD=1
say() { printf 'bench: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) ROUNDS=${2:?}; shift 2 ;;
    --only) ONLY=${2:?}; shift 2 ;;
    --keep) KEEP=1; shift ;;
    --no-build) BUILD=0; shift ;;
    *) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
  esac
done
IFS=, read -ra ARMS <<< "$ONLY"
for arm in "${ARMS[@]}"; do
  case $arm in consume | stockstream | copy | jdbc) ;; *) die "no such arm: $arm" ;; esac
done

PATIENCE=${BENCH_PATIENCE:-300} # seconds for one arm
BIN=${CARGO_TARGET_DIR:-$ROOT/target}/release
if [ $BUILD = 1 ]; then
  say "building (release)"
  cargo build --release -p server --bin stockstream --example bench_produce --example bench_consume
fi

export STACK_DIR=${STACK_DIR:-$ROOT/.stack/bench} STACK_PORT_OFFSET=${STACK_PORT_OFFSET:-2000}
export CONNECT_JAVA_OPTS=${CONNECT_JAVA_OPTS:--Xms512m -Xmx1500m}
eval "$(deploy/stack/stack.sh env)"
finish() {
  kill_server
  [ $KEEP = 1 ] || deploy/stack/stack.sh down
}
SERVER=
kill_server() {
  if [ -n "$SERVER" ]; then kill "$SERVER" 2>/dev/null || true; wait "$SERVER" 2>/dev/null || true; SERVER=; fi
}
trap finish EXIT
services=(postgres kafka)
case ",$ONLY," in *,jdbc,*) deploy/stack/fetch.sh bench; services+=(connect) ;; esac
deploy/stack/stack.sh up "${services[@]}"
if [ "${#services[@]}" = 3 ]; then # an interrupted run may have left its connector
  for name in $(curl -sSf "$STACK_CONNECT_URL/connectors" | tr -d '[]"' | tr , ' '); do
    curl -sSf -o /dev/null -X DELETE "$STACK_CONNECT_URL/connectors/$name"
  done
fi

TOPIC=bench$RECORDS.stream_db.stock
HOST=${STACK_POSTGRES_URL%/*}
TICKS=$(getconf CLK_TCK)
psql_in() { local database=$1; shift; psql -qXAtv ON_ERROR_STOP=1 -d "$HOST/$database" "$@"; }
fresh() { psql_in postgres -c 'set client_min_messages = warning' -c "drop database if exists $1 with (force)" -c "create database $1"; }

# --- the topic and the oracle ------------------------------------------------------------------

"$BIN/examples/bench_produce" "$STACK_BROKERS" "$TOPIC" "$RECORDS"
ORACLE=$STACK_DIR/oracle-$RECORDS.csv
if [ ! -s "$ORACLE" ]; then
  say "computing the oracle from a raw dump of the topic"
  fresh oracle
  psql_in oracle -c 'create unlogged table raw ("offset" bigint, value text)'
  "$BIN/examples/bench_consume" "$STACK_BROKERS" "$TOPIC" dump | psql_in oracle -c 'copy raw from stdin'
  psql_in oracle -f bench/oracle.sql
  psql_in oracle -c 'copy (select * from oracle order by record_id) to stdout (format csv)' > "$ORACLE.new"
  psql_in postgres -c 'drop database oracle'
  mv "$ORACLE.new" "$ORACLE"
fi
KEYS=$(wc -l < "$ORACLE")

# --- measuring ---------------------------------------------------------------------------------

fresh bench
psql_in bench -c 'create table result (round int, arm text, rows bigint, wall numeric, cpu_program numeric, cpu_postgres numeric, peak_mb numeric, wrong bigint, older bigint)'

# CPU seconds of a process, and of PostgreSQL with all its processes, also those that ended
cpu_of() { sed 's/(.*)/x/' "/proc/$1/stat" | awk -v hz="$TICKS" '{ print ($14 + $15) / hz }'; }
cpu_of_postgres() {
  { cat /proc/[0-9]*/stat 2>/dev/null || true; } | sed 's/(.*)/x/' |
    awk -v hz="$TICKS" -v pid="$(cat "$STACK_DIR/postgres/pid")" '$1 == pid || $4 == pid { sum += $14 + $15 + $16 + $17 } END { print sum / hz }'
}
peak_mb() { awk '/^VmHWM/ { print $2 / 1024 }' "/proc/$1/status"; }
now() { date +%s.%N; }

begin() { psql_in postgres -c checkpoint; PG0=$(cpu_of_postgres); T0=$(now); }
end() { # ARM ROWS CPU_OF_PROGRAM PEAK_MB WRONG OLDER, with T1 set when the last row was in
  psql_in bench -c "insert into result values ($ROUND, '$1', $2, $T1 - $T0, $3, $PG1 - $PG0, $4, $5, $6)"
  say "round $ROUND, $1: $(psql_in bench -c "select round(rows / wall) || ' rows/s, ' || round(rows / nullif(cpu_program + cpu_postgres, 0)) || ' rows per CPU-second (program ' || round(cpu_program, 2) || ' s, PostgreSQL ' || round(cpu_postgres, 2) || ' s), wrong keys: ' || coalesce(wrong::text, '—') from result where round = $ROUND and arm = '$1'")"
}
settle() { T1=$(now); psql_in postgres -c checkpoint; PG1=$(cpu_of_postgres); }

# One session that looks every 20 ms until the query says true: polling by new sessions would cost as much as it measures.
await_true() { # DATABASE TABLE QUERY
  psql_in "$1" -c "do \$\$
    declare done boolean := false; until timestamptz := clock_timestamp() + interval '$PATIENCE seconds';
    begin
      loop
        if to_regclass('$2') is not null then execute \$q\$ select coalesce(($3), false) \$q\$ into done; end if;
        exit when done;
        if clock_timestamp() > until then raise 'not done after $PATIENCE s: $2'; end if;
        commit; -- a new transaction sees tables made meanwhile
        perform pg_sleep(0.02);
      end loop;
    end \$\$"
}

# Keys that differ from the oracle, and those of them whose row is older than it should be.
compare() { # DATABASE QUERY-FOR-ROWS
  psql_in "$1" <<SQL
create temp table oracle (record_id bigint, symbol text, time timestamptz, open numeric, high numeric, low numeric, close numeric, volume bigint, event_time timestamptz);
\copy oracle from '$ORACLE' (format csv)
set timezone = 'UTC';
with found as ($2)
select count(*) filter (where row(o.*) is distinct from row(f.*)) || ', ' || count(*) filter (where f.event_time < o.event_time)
from oracle o full join found f using (record_id);
SQL
}

run_consume() {
  local TIMEFORMAT='%U %S' used
  T0=$(now) PG0=0 PG1=0
  used=$({ time "$BIN/examples/bench_consume" "$STACK_BROKERS" "$TOPIC" 2>/dev/null; } 2>&1)
  T1=$(now)
  end consume "$RECORDS" "${used% *} + ${used#* }" null null null
}

run_stockstream() {
  local cpu peak wrong
  fresh stockstream
  begin
  "$BIN/stockstream" --log warn serve --listen "127.0.0.1:$((28080 + STACK_PORT_OFFSET))" --database-url "$HOST/stockstream" \
    --brokers "$STACK_BROKERS" --topic "$TOPIC" > "$STACK_DIR/serve.log" 2>&1 &
  SERVER=$!
  await_true stockstream kafka_offset "select sum(next_offset) >= $RECORDS from kafka_offset" ||
    { tail -n 20 "$STACK_DIR/serve.log" >&2; exit 1; }
  cpu=$(cpu_of $SERVER) peak=$(peak_mb $SERVER)
  settle
  kill_server
  wrong=$(compare stockstream 'select record_id, symbol, time, open, high, low, close, volume, event_time from stock join symbol using (symbol_id)')
  end stockstream "$RECORDS" "$cpu" "$peak" "${wrong%,*}" "${wrong#*,}"
  psql_in stockstream -c 'copy stock to stdout (format binary)' > "$STACK_DIR/stock.bin"
  say "$(psql_in stockstream -c "select 'counters: consumed ' || consumed || ' = applied ' || applied || ' + late ' || late || ' + duplicate ' || duplicate || ' + deleted ' || deleted || ' + control ' || control || ' + quarantined ' || quarantined from kafka_offset")"
}

run_copy() {
  local TIMEFORMAT='%U %S' used
  [ -s "$STACK_DIR/stock.bin" ] || die "the arm copy needs the rows of a run of the arm stockstream"
  fresh copied
  cat migrations/*.sql | psql_in copied
  begin
  used=$({ time psql_in copied -c 'copy stock from stdin (format binary)' < "$STACK_DIR/stock.bin"; } 2>&1)
  settle
  end copy "$KEYS" "${used% *} + ${used#* }" null null null
}

run_jdbc() {
  local name pid cpu0 cpu wrong
  name=jdbc-$ROUND-$(date +%s)
  pid=$(cat "$STACK_DIR/connect/pid")
  fresh sink
  begin
  cpu0=$(cpu_of "$pid")
  curl -sSf -o /dev/null -X PUT -H 'Content-Type: application/json' "$STACK_CONNECT_URL/connectors/$name/config" -d @- <<JSON
{"connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "1", "topics": "$TOPIC",
 "connection.url": "jdbc:postgresql://${HOST#*@}/sink?reWriteBatchedInserts=true", "connection.username": "postgres", "connection.password": "",
 "collection.name.format": "stock", "insert.mode": "upsert", "delete.enabled": "true", "primary.key.mode": "record_key",
 "schema.evolution": "basic", "batch.size": "${JDBC_BATCH:-5000}", "use.reduction.buffer": "${JDBC_REDUCE:-true}",
 "consumer.override.auto.offset.reset": "earliest", "consumer.override.max.poll.records": "${JDBC_BATCH:-5000}",
 "consumer.override.max.partition.fetch.bytes": "33554432", "consumer.override.fetch.max.bytes": "67108864",
 "key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "true",
 "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "true"}
JSON
  await_true sink public.stock "select true from stock where record_id = $KEYS" ||
    { curl -s "$STACK_CONNECT_URL/connectors/$name/status" | cut -c 1-300 >&2; die "the JDBC sink did not finish: see $STACK_DIR/connect/log"; }
  cpu=$(cpu_of "$pid")
  settle
  curl -sSf -o /dev/null -X DELETE "$STACK_CONNECT_URL/connectors/$name"
  wrong=$(compare sink "select record_id::bigint, symbol::text, time::timestamptz, round(open::numeric, 4) as open, round(high::numeric, 4) as high, round(low::numeric, 4) as low, round(close::numeric, 4) as close, volume::bigint, event_time::timestamptz from stock")
  end jdbc "$RECORDS" "$cpu - $cpu0" "$(peak_mb "$pid")" "${wrong%,*}" "${wrong#*,}"
}

for ROUND in $(seq "$ROUNDS"); do
  for i in "${!ARMS[@]}"; do
    arm=${ARMS[$(((i + ROUND - 1) % ${#ARMS[@]}))]}
    # the rows to copy come from stockstream's first run
    if [ "$arm" = copy ] && [ ! -s "$STACK_DIR/stock.bin" ]; then say "round $ROUND: no rows to copy yet"; continue; fi
    "run_$arm"
  done
done

# --- the report --------------------------------------------------------------------------------

mkdir -p bench/results
psql_in bench > "$STACK_DIR/ingest.json" <<SQL
with summary as (
    select arm, count(*) as rounds, max(rows) as rows,
           round(percentile_cont(0.5) within group (order by rows / wall)) as rows_per_second,
           round(percentile_cont(0.5) within group (order by rows / nullif(cpu_program + cpu_postgres, 0))) as rows_per_cpu_second,
           json_agg(round(rows / nullif(cpu_program + cpu_postgres, 0)) order by round) as rows_per_cpu_second_by_round,
           round(percentile_cont(0.5) within group (order by cpu_program)::numeric, 2) as cpu_seconds_program,
           round(percentile_cont(0.5) within group (order by cpu_postgres)::numeric, 2) as cpu_seconds_postgres,
           round(max(peak_mb)) as peak_memory_mb, max(wrong) as wrong_keys, max(older) as keys_on_an_older_event
    from result group by arm
)
select jsonb_pretty(jsonb_build_object(
    'measured_at', to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'records', $RECORDS, 'keys', $KEYS, 'rounds', $ROUNDS, 'processors', $(nproc), 'postgres', current_setting('server_version'),
    'arms', (select jsonb_object_agg(arm, to_jsonb(summary) - 'arm') from summary),
    'times_the_jdbc_sink_per_cpu_second',
        (select round(max(rows_per_cpu_second) filter (where arm = 'stockstream')::numeric / (max(rows_per_cpu_second) filter (where arm = 'jdbc'))::numeric, 1) from summary)));
SQL
case ",$ONLY," in *,stockstream,*,jdbc,*) cp "$STACK_DIR/ingest.json" bench/results/ingest.json; say "written to bench/results/ingest.json" ;; esac
psql -qXv ON_ERROR_STOP=1 -P footer=off -P null=— -d "$HOST/bench" <<'SQL'
with summary as (
    select arm, percentile_cont(0.5) within group (order by rows / wall) as per_second,
           percentile_cont(0.5) within group (order by rows / nullif(cpu_program + cpu_postgres, 0)) as per_cpu_second,
           percentile_cont(0.5) within group (order by cpu_program) as program, percentile_cont(0.5) within group (order by cpu_postgres) as postgres,
           max(peak_mb) as peak, max(wrong) as wrong, max(older) as older
    from result group by arm
)
select arm, round(per_second) as "rows/s", round(per_cpu_second) as "rows per CPU-second",
       round((per_cpu_second / (select max(per_cpu_second) from summary where arm = 'jdbc'))::numeric, 1) as "× JDBC sink",
       round(program::numeric, 2) as "CPU s program", round(postgres::numeric, 2) as "CPU s PostgreSQL",
       round(peak) as "peak MB", wrong as "wrong keys", older as "older keys"
from summary order by per_cpu_second desc;
SQL
