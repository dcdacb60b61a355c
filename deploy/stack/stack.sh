#!/usr/bin/env bash
# The real CDC stack without containers: MariaDB, PostgreSQL, Kafka and Kafka Connect with Debezium, on loopback.
#
#   stack.sh up [SERVICE...]               starts what does not run yet and waits until it answers
#   stack.sh down                          ends what `up` started here, and nothing else
#   stack.sh status                        says of each service whether it answers
#   stack.sh env                           prints the addresses as shell assignments
#   stack.sh register mariadb|postgres     hands deploy/connect/stock-*.json to Connect, waits until it runs
#   stack.sh wipe                          down, and deletes the data
#
# SERVICE: postgres mariadb kafka connect (all of them, in this order, by default).
# STACK_DIR holds data, logs and pid files (.stack by default). STACK_PORT_OFFSET shifts every port, so that several
# stacks can run side by side; each port can also be set by itself. STACK_TIMEOUT: seconds to wait for one service.
# The configuration is that of compose.yaml: the files under deploy/, plus the addresses and paths of this machine.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DEPLOY=$(dirname "$HERE")
ROOT=$(dirname "$DEPLOY")
DIST=$ROOT/.tools/stack
# Debian leaves the directory of mariadbd out of a normal user's path.
export PATH=$PATH:/usr/sbin

say() { printf 'stack: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

OFFSET=${STACK_PORT_OFFSET:-0}
export MARIADB_PORT=${MARIADB_PORT:-$((23306 + OFFSET))}
export POSTGRES_PORT=${POSTGRES_PORT:-$((25432 + OFFSET))}
KAFKA_PORT=${KAFKA_PORT:-$((29092 + OFFSET))}
CONTROLLER_PORT=${CONTROLLER_PORT:-$((29093 + OFFSET))}
CONNECT_PORT=${CONNECT_PORT:-$((28083 + OFFSET))}
TIMEOUT=${STACK_TIMEOUT:-180}
# What the connector files ask for by ${env:NAME}.
export MARIADB_HOST=127.0.0.1 POSTGRES_HOST=127.0.0.1 KAFKA_BROKERS=127.0.0.1:$KAFKA_PORT
export MARIADB_DEBEZIUM_PASSWORD=dbz POSTGRES_DEBEZIUM_PASSWORD=dbz
CONNECT_URL=http://127.0.0.1:$CONNECT_PORT

# Both databases refuse to run as root, so root hands them to another user. Where that user cannot enter the
# directory (a checkout in /root), the data lives under /var/tmp.
DB_USER=$(id -un) AS_DB_USER=(env)
if [ "$(id -u)" = 0 ]; then
  for DB_USER in postgres mysql nobody; do id "$DB_USER" >/dev/null 2>&1 && break; done
  AS_DB_USER=(setpriv "--reuid=$DB_USER" "--regid=$(id -g "$DB_USER")" --init-groups env HOME=/)
fi
STACK_DIR=${STACK_DIR:-$ROOT/.stack}
mkdir -p "$STACK_DIR"
STACK_DIR=$(cd "$STACK_DIR" && pwd)
if ! "${AS_DB_USER[@]}" test -x "$STACK_DIR"; then
  STACK_DIR=/var/tmp/stockstream-stack-$(printf %s "$STACK_DIR" | cksum | cut -d' ' -f1)
fi
mkdir -p "$STACK_DIR"
chmod 755 "$STACK_DIR"

# The newest PostgreSQL installed; Debian keeps its programs out of PATH.
if [ -z "${PG_BIN:-}" ]; then
  PG_BIN=$(find /usr/lib/postgresql -name initdb 2>/dev/null | sort -V | tail -n 1 || true)
  PG_BIN=$(dirname "${PG_BIN:-$(command -v initdb || echo initdb)}")
fi

# --- processes ---------------------------------------------------------------------------------

pid_of() { # the pid of a service that this stack started and that still runs; its command line names the stack
  local pid; pid=$(cat "$STACK_DIR/$1/pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && { tr '\0' ' ' < "/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$STACK_DIR/$1" && echo "$pid"
}

launch() { # NAME COMMAND...: in the background, detached, log and pid in the service's directory
  local name=$1 dir=$STACK_DIR/$1; shift
  cd "$dir"
  setsid "$@" > "$dir/log" 2>&1 < /dev/null &
  echo $! > "$dir/pid"
  cd "$ROOT"
}

await() { # NAME WHAT COMMAND...: until the command succeeds; names what it waited for otherwise
  local name=$1 what=$2 end=$((SECONDS + TIMEOUT)); shift 2
  until "$@" >/dev/null 2>&1; do
    if ! pid_of "$name" >/dev/null; then
      say "$name ended before $what; the end of $STACK_DIR/$name/log:"; tail -n 20 "$STACK_DIR/$name/log" >&2; exit 1
    elif [ $SECONDS -ge $end ]; then
      say "$name: waited $TIMEOUT s in vain for $what; the end of $STACK_DIR/$name/log:"; tail -n 20 "$STACK_DIR/$name/log" >&2; exit 1
    fi
    sleep 0.1
  done
}

JAVA=(java "-Dlog4j2.configurationFile=$DEPLOY/kafka/log4j2.properties" -cp "$DIST/libs/*")
psql_do() { "$PG_BIN/psql" -qXv ON_ERROR_STOP=1 -h 127.0.0.1 -p "$POSTGRES_PORT" -U postgres "$@"; }
mariadb_do() { mariadb --no-defaults --protocol=tcp -h 127.0.0.1 -P "$MARIADB_PORT" -u root "$@"; }
connect_answers() { curl -sf -m 5 "$CONNECT_URL/connectors"; }
kafka_answers() { grep -q 'Kafka Server started' "$STACK_DIR/kafka/log" && (exec 3<>"/dev/tcp/127.0.0.1/$KAFKA_PORT") 2>/dev/null; }

free_port() { # PORT VARIABLE: refuses to start beside something else
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    die "port $1 is taken by a program that this stack did not start; set $2 or STACK_PORT_OFFSET"
  fi
}

# --- services ----------------------------------------------------------------------------------

up_postgres() {
  local dir=$STACK_DIR/postgres
  free_port "$POSTGRES_PORT" POSTGRES_PORT
  if [ ! -f "$dir/data/PG_VERSION" ]; then
    rm -rf "$dir/data"
    [ "$(id -u)" != 0 ] || chown "$DB_USER" "$dir"
    (cd "$dir" && "${AS_DB_USER[@]}" "$PG_BIN/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8) > "$dir/initdb.log" 2>&1 ||
      { cat "$dir/initdb.log" >&2; die "initdb failed"; }
    echo "include '$dir/postgresql.conf'" >> "$dir/data/postgresql.conf"
  fi
  cp "$DEPLOY/postgres/postgresql.conf" "$dir/postgresql.conf"
  # No unix socket: its path would be longer than the system allows in a deep checkout.
  launch postgres "${AS_DB_USER[@]}" "$PG_BIN/postgres" -D "$dir/data" -c "port=$POSTGRES_PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories=
  await postgres "answers on port $POSTGRES_PORT" psql_do -c 'select 1'
  psql_do -f "$DEPLOY/sql/databases.postgres.sql"
  psql_do -d stream_db -f "$DEPLOY/sql/stock.postgres.sql" 2>&1 | { grep -v 'already exists, skipping' >&2 || true; }
}

up_mariadb() {
  local dir=$STACK_DIR/mariadb user=()
  free_port "$MARIADB_PORT" MARIADB_PORT
  [ "$(id -u)" != 0 ] || { chown "$DB_USER" "$dir"; user=("--user=$DB_USER"); }
  if [ ! -d "$dir/data/mysql" ]; then
    rm -rf "$dir/data"
    mariadb-install-db --no-defaults "--datadir=$dir/data" "${user[@]}" --auth-root-authentication-method=normal --skip-test-db > "$dir/install.log" 2>&1 ||
      { cat "$dir/install.log" >&2; die "mariadb-install-db failed"; }
  fi
  # The socket's path is relative to the data directory, for the same reason.
  launch mariadb mariadbd "--defaults-file=$DEPLOY/mariadb/my.cnf" "${user[@]}" "--datadir=$dir/data" --socket=mariadbd.sock "--pid-file=$dir/data/mariadbd.pid" "--port=$MARIADB_PORT" --bind-address=127.0.0.1
  await mariadb "answers on port $MARIADB_PORT" mariadb_do -e 'select 1'
  mariadb_do < "$DEPLOY/sql/stock.mariadb.sql"
}

up_kafka() {
  local dir=$STACK_DIR/kafka cluster
  free_port "$KAFKA_PORT" KAFKA_PORT
  { cat "$DEPLOY/kafka/server.properties"
    echo "controller.quorum.voters=1@127.0.0.1:$CONTROLLER_PORT"
    echo "listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$CONTROLLER_PORT"
    echo "advertised.listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT"
    echo "log.dirs=$dir/data"; } > "$dir/server.properties"
  if [ ! -f "$dir/data/meta.properties" ]; then
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 1-22)
    "${JAVA[@]}" kafka.tools.StorageTool format -t "$cluster" -c "$dir/server.properties" > "$dir/format.log" 2>&1 ||
      { cat "$dir/format.log" >&2; die "Kafka's storage tool failed"; }
  fi
  # shellcheck disable=SC2086 # several options in one variable
  launch kafka "${JAVA[@]}" ${KAFKA_JAVA_OPTS:--Xms256m -Xmx512m} kafka.Kafka "$dir/server.properties"
  await kafka "answers on port $KAFKA_PORT" kafka_answers
}

up_connect() {
  local dir=$STACK_DIR/connect
  free_port "$CONNECT_PORT" CONNECT_PORT
  { cat "$DEPLOY/connect/worker.properties"
    echo "bootstrap.servers=$KAFKA_BROKERS"
    echo "listeners=$CONNECT_URL"
    echo "plugin.path=$DIST/plugins"; } > "$dir/worker.properties"
  # shellcheck disable=SC2086 # several options in one variable
  launch connect "${JAVA[@]}" ${CONNECT_JAVA_OPTS:--Xms256m -Xmx768m} org.apache.kafka.connect.cli.ConnectDistributed "$dir/worker.properties"
  await connect "answers at $CONNECT_URL" connect_answers
}

up() {
  local service
  for service in "$@"; do
    case $service in postgres | mariadb | kafka | connect) ;; *) die "no such service: $service (postgres, mariadb, kafka, connect)" ;; esac
    if pid_of "$service" >/dev/null; then say "$service runs already"; continue; fi
    case $service in kafka | connect) "$HERE/fetch.sh" ;; esac
    mkdir -p "$STACK_DIR/$service"
    local start=$SECONDS
    say "starting $service"
    "up_$service"
    say "$service answers after $((SECONDS - start)) s"
  done
}

down() {
  local service pid signal
  for service in connect kafka mariadb postgres; do
    pid=$(pid_of "$service") || continue
    signal=TERM; [ "$service" = postgres ] && signal=INT # "fast": ends sessions, then checkpoints
    say "ending $service"
    kill -s $signal "$pid"
    for _ in $(seq 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    if kill -0 "$pid" 2>/dev/null; then say "$service did not end in 30 s: killing it"; kill -9 "$pid"; fi
    rm -f "$STACK_DIR/$service/pid"
  done
}

answers() {
  case $1 in
    postgres) psql_do -c 'select 1' ;;
    mariadb) mariadb_do -e 'select 1' ;;
    kafka) kafka_answers ;;
    connect) connect_answers ;;
  esac >/dev/null 2>&1
}

status() {
  local service pid all=0
  for service in postgres mariadb kafka connect; do
    if ! pid=$(pid_of "$service"); then echo "$service: not running"; all=1
    elif answers "$service"; then echo "$service: answers (pid $pid)"
    else echo "$service: runs (pid $pid) but does not answer: see $STACK_DIR/$service/log"; all=1; fi
  done
  return $all
}

register() {
  local name=stock-$1 file=$DEPLOY/connect/stock-$1.json end=$((SECONDS + TIMEOUT)) state
  [ -f "$file" ] || die "no such connector: $1 (mariadb, postgres)"
  say "registering the connector $name"
  until curl -sf -m 30 -o /dev/null -X PUT -H 'Content-Type: application/json' -d "@$file" "$CONNECT_URL/connectors/$name/config"; do
    # 409 while the worker's group rebalances
    [ $SECONDS -lt $end ] || die "Connect refused $name: $(curl -s -m 30 -X PUT -H 'Content-Type: application/json' -d "@$file" "$CONNECT_URL/connectors/$name/config")"
    sleep 0.5
  done
  while :; do
    state=$(curl -s -m 5 "$CONNECT_URL/connectors/$name/status" || true)
    case $state in
      *'"tasks":[{"id":0,"state":"RUNNING"'*) say "$name runs"; return ;;
      *FAILED*) die "$name failed: $state" ;;
    esac
    [ $SECONDS -lt $end ] || die "$name: waited $TIMEOUT s in vain for its task to run; last answer: $state"
    sleep 0.2
  done
}

print_env() {
  cat <<ENV
STACK_DIR=$STACK_DIR
STACK_BROKERS=$KAFKA_BROKERS
STACK_CONNECT_URL=$CONNECT_URL
STACK_POSTGRES_URL=postgres://postgres@127.0.0.1:$POSTGRES_PORT/stockstream
STACK_SOURCE_MARIADB_URL=mysql://app:app@127.0.0.1:$MARIADB_PORT/stream_db
STACK_SOURCE_POSTGRES_URL=postgres://app:app@127.0.0.1:$POSTGRES_PORT/stream_db
MARIADB_PORT=$MARIADB_PORT
ENV
}

case "${1:-}" in
  up) shift; if [ $# = 0 ]; then set -- postgres mariadb kafka connect; fi; up "$@" ;;
  down) down ;;
  status) status ;;
  env) print_env ;;
  register) register "${2:?mariadb or postgres}" ;;
  wipe) down; rm -rf "$STACK_DIR" ;;
  *) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
