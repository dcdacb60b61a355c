#!/usr/bin/env bash
# `make stack`: the real CDC stack, stockstream beside it, and a feed that writes bars into MariaDB.
#
#   scripts/stack.sh start [flags of `stockstream feed replay`]
#   scripts/stack.sh stop
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
BIN=${STOCKSTREAM_BIN:-$ROOT/target/release/stockstream}
LISTEN=${STOCKSTREAM_LISTEN:-127.0.0.1:8080}
eval "$(deploy/stack/stack.sh env)"
RUN=$STACK_DIR/stockstream

pid_of() { # serve or feed, if it is the one started here
  local pid; pid=$(cat "$RUN/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && { tr '\0' ' ' < "/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$BIN $1 " && echo "$pid"
}

launch() { # NAME ARGUMENTS...
  local name=$1; shift
  if pid_of "$name" >/dev/null; then echo "stack: stockstream $name runs already" >&2; return; fi
  echo "stack: starting stockstream $name" >&2
  setsid "$BIN" "$name" "$@" > "$RUN/$name.log" 2>&1 < /dev/null &
  echo $! > "$RUN/$name.pid"
}

await_ready() {
  local end=$((SECONDS + 120))
  until curl -sf -m 5 -o /dev/null "http://$LISTEN/readyz"; do
    if ! pid_of serve >/dev/null || [ $SECONDS -ge $end ]; then
      echo "stack: stockstream serve is not ready at http://$LISTEN/readyz; the end of $RUN/serve.log:" >&2
      tail -n 20 "$RUN/serve.log" >&2
      exit 1
    fi
    sleep 0.2
  done
}

start() {
  deploy/stack/stack.sh up
  deploy/stack/stack.sh register mariadb
  mkdir -p "$RUN"
  # The feed first: Debezium makes the topic with the first row, and without a topic there is nothing to be ready for.
  # A table that has rows already is carried on, not filled again.
  local rows
  rows=$(mariadb --no-defaults --protocol=tcp -h 127.0.0.1 -P "$MARIADB_PORT" -u app -papp -N -e 'select count(*) from stock' stream_db)
  [ "$rows" = 0 ] || set -- --continue "$@"
  launch feed replay --database-url "$STACK_SOURCE_MARIADB_URL" "$@"
  launch serve --listen "$LISTEN" --database-url "$STACK_POSTGRES_URL" --brokers "$STACK_BROKERS" --topic dbserver1.stream_db.stock
  await_ready
  echo "stack: the dashboard is live at http://$LISTEN/dashboard (logs in $RUN; make stack-stop ends it all)" >&2
}

stop() {
  local name pid
  for name in feed serve; do
    pid=$(pid_of "$name") || continue
    echo "stack: ending stockstream $name" >&2
    kill "$pid"
    for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    if kill -0 "$pid" 2>/dev/null; then kill -9 "$pid"; fi
    rm -f "$RUN/$name.pid"
  done
  deploy/stack/stack.sh down
}

case "${1:-}" in
  start) shift; start "$@" ;;
  stop) stop ;;
  *) echo "usage: scripts/stack.sh start|stop" >&2; exit 2 ;;
esac
