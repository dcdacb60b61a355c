"""Starts the servers of bench/api.sh, loads them in turn and writes what it saw to bench/results/api.json.

    api.py URL POSTMASTER_PID DIRECTORY STOCKSTREAM BENCH_API SECONDS ROUNDS CONNECTIONS
"""

import asyncio
import datetime
import itertools
import json
import os
import pathlib
import platform
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import version

import asyncpg

HERE = pathlib.Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
URL, POSTMASTER, DIRECTORY = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
STOCKSTREAM, BENCH_API = sys.argv[4:6]
SECONDS, ROUNDS, CONNECTIONS = map(int, sys.argv[6:9])

LATEST = "/api/v1/bars?symbol=AMZN&limit=100&sort=desc"
FIRST_DAY, DAYS = datetime.date(2024, 1, 1), 60
NIGHT = 14 * 3600  # seconds of a day before its first bar
ASKED_AT_ONCE = 20_000  # questions for days that wrk is given; more than any server answers in one run
PATIENCE = 60  # seconds for a server to answer

# Minutes of regular sessions in winter: 14:30 to 20:59 UTC, on every day of the week.
FILL = f"""
insert into symbol (symbol) values ('AAPL'), ('AMZN');
insert into stock (topic_id, record_id, symbol_id, time, open, high, low, close, volume, event_time, version_epoch, version_hi,
    version_lo, incarnation, partition, "offset", op, received_at, committed_at, rules)
select 1, row_number() over (), symbol_id, time, price, price + 0.25, price - 0.25, price + n % 7 * 0.03 - 0.1,
    n % 25000 + 100, time + interval '1 minute', 1, 1, 1, 1, 0, 1, 'c', time + interval '1 minute', time + interval '1 minute', 0
from (select symbol_id, n, timestamptz '{FIRST_DAY} 14:30Z' + n / 390 * interval '1 day' + n % 390 * interval '1 minute' as time,
        (100 + n % 9973 * 0.01)::numeric(18, 2) as price
    from symbol, generate_series(0, {DAYS} * 390 - 1) n) minutes;
analyze stock;
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read()


def wait_for(port, path, server):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"{server.args[0]} ended with {server.returncode}")
        try:
            return get(port, path)
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{server.args[0]} does not answer")


def cpu_seconds(of):
    """CPU seconds of a process and its children, also of those that ended."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.read_text().split(" ", 1)
        except OSError:
            continue  # it has ended meanwhile
        fields = rest.rpartition(")")[2].split()
        if of in (int(pid), int(fields[1])):
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


class Server:
    def __init__(self, name, command, port, **environment):
        self.name, self.port = name, port
        self.log = (DIRECTORY / f"{name}.log").open("w")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd=HERE, env=os.environ | environment)

    def load(self, paths, seconds):
        file = DIRECTORY / "paths"
        file.write_text("\n".join(paths) + "\n")
        server, postgres = cpu_seconds(self.process.pid), cpu_seconds(POSTMASTER)
        printed = subprocess.run(
            ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "api.lua"),
             f"http://127.0.0.1:{self.port}", "--", str(file)],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        server, postgres = cpu_seconds(self.process.pid) - server, cpu_seconds(POSTMASTER) - postgres
        result = json.loads(next(line for line in printed.splitlines() if line.startswith("RESULT"))[7:])
        if result["errors"]:
            sys.exit(f"{self.name} refused or failed {result['errors']} of {result['requests']} requests")
        return {
            "requests_per_second": round(result["requests"] / result["seconds"]),
            "requests_per_cpu_second": round(result["requests"] / server),
            "requests_per_cpu_second_with_postgres": round(result["requests"] / (server + postgres)),
            "cpu_seconds_server": round(server, 2),
            "cpu_seconds_postgres": round(postgres, 2),
            "p50_ms": result["p50_ms"],
            "p99_ms": result["p99_ms"],
        }

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


numbers = itertools.count()


def days(count):
    """Paths of days: the day jumps, and no two begin at the same second of the night, so none was ever asked before."""
    found = []
    for number in itertools.islice(numbers, count):
        day = FIRST_DAY + datetime.timedelta(days=number * 37 % DAYS)
        start = datetime.timedelta(seconds=number // DAYS % NIGHT)
        end = day + datetime.timedelta(days=1)
        found.append(f"/api/v1/bars?symbol=AMZN&limit=1000&start={day}T{str(start).zfill(8)}Z&end={end}T00:00:00Z")
    return found


async def run_sql(sql):
    connection = await asyncpg.connect(URL)
    await connection.execute(sql)
    await connection.close()


def bars(body):
    """The bars of an answer; one writes 2024-01-01T14:30:00Z as another does with +00:00."""
    found = json.loads(body)["bars"]
    for bar in found:
        bar["time"] = datetime.datetime.fromisoformat(bar["time"].replace("Z", "+00:00"))
    return found


def fastapi(app):
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"api_fastapi:{app}", "--port", str(port), "--no-access-log", "--log-level", "warning"]
    return Server(f"fastapi_{app}", command, port, DATABASE_URL=URL)


def start(servers):
    broker = subprocess.Popen([BENCH_API, "broker"], stdout=subprocess.PIPE, text=True)
    servers.append(broker)
    brokers = broker.stdout.readline().strip()
    port = free_port()
    command = [
        STOCKSTREAM, "serve", "--listen", f"127.0.0.1:{port}", "--brokers", brokers, "--topic", "bench",
        "--database-url", URL, "--site-root", str(DIRECTORY / "site"),
    ]  # fmt: skip
    ours = Server("stockstream", command, port)
    servers.append(ours)
    wait_for(port, "/readyz", ours.process)
    asyncio.run(run_sql(FILL))
    time.sleep(1)
    body = wait_for(port, LATEST, ours.process)
    (DIRECTORY / "body").write_bytes(body)

    compared = [ours, *map(fastapi, ("idiomatic", "tuned", "text"))]
    servers += compared[1:]
    questions = [LATEST, *days(DAYS)]
    expected = [bars(get(port, path)) for path in questions]
    if [len(found) for found in expected] != [100] + [390] * DAYS:
        sys.exit(f"these are not the bars: {[len(found) for found in expected]}")
    for server in compared[1:]:
        wait_for(server.port, LATEST, server.process)
        if [bars(get(server.port, path)) for path in questions] != expected:
            sys.exit(f"{server.name} has other bars")
    bare_port = free_port()
    bare = Server("axum_bare", [BENCH_API, "bare", f"127.0.0.1:{bare_port}", str(DIRECTORY / "body")], bare_port)
    servers.append(bare)
    wait_for(bare_port, "/", bare.process)
    return {
        "latest_100": {**{server.name: (server, lambda: [LATEST]) for server in compared}, "axum_same_bytes": (bare, lambda: [LATEST]), "axum_hello": (bare, lambda: ["/"])},
        "uncached_day": {server.name: (server, lambda: days(ASKED_AT_ONCE)) for server in compared},
    }, len(body)


def main():
    servers = []
    try:
        arms, size = start(servers)
        for of_arm in arms.values():
            for server, paths in of_arm.values():
                server.load(paths(), 1)
        rounds = {}
        for number in range(ROUNDS):
            for arm, of_arm in arms.items():
                # Each round begins with another.
                names = list(of_arm)
                for name in names[number % len(names) :] + names[: number % len(names)]:
                    server, paths = of_arm[name]
                    measured = server.load(paths(), SECONDS)
                    rounds.setdefault(arm, {}).setdefault(name, []).append(measured)
                    print(f"{arm}: {name} {measured}", file=sys.stderr)
    finally:
        for server in reversed(servers):
            server.terminate() if isinstance(server, subprocess.Popen) else server.stop()

    median = {
        arm: {
            name: {key: statistics.median(one[key] for one in all_of) for key in all_of[0]} for name, all_of in of_arm.items()
        }
        for arm, of_arm in rounds.items()
    }

    def ratio(arm, other, key="requests_per_cpu_second"):
        """The median over rounds, each compared with the same round of the other."""
        pairs = zip(rounds[arm]["stockstream"], rounds[arm][other])
        return round(statistics.median(ours[key] / theirs[key] for ours, theirs in pairs), 2)

    with_postgres = "requests_per_cpu_second_with_postgres"
    latest, day = (lambda *rest, arm=arm: ratio(arm, *rest) for arm in ("latest_100", "uncached_day"))
    result = {
        "what": "requests per CPU-second of the server, medians of rounds in turn; wrk, one thread, on the same machine",
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {"processors": os.cpu_count(), "kernel": platform.release()},
        "seconds": SECONDS, "rounds": ROUNDS, "connections": CONNECTIONS, "bytes_of_latest_100": size,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in ("fastapi", "asyncpg", "uvicorn", "uvloop", "httptools", "orjson")},
        "times": {
            "latest_100": {
                "idiomatic_fastapi": {"is": latest("fastapi_idiomatic"), "target": 50},
                "tuned_fastapi": {"is": latest("fastapi_tuned"), "target": 20},
                "fastapi_passing_on_text": {"is": latest("fastapi_text")},
                "axum_hello": {"is": latest("axum_hello"), "target": 0.6},
                "axum_same_bytes": {"is": latest("axum_same_bytes")},
            },
            "uncached_day": {
                "idiomatic_fastapi": {"is": day("fastapi_idiomatic"), "target": 3.5},
                "tuned_fastapi": {"is": day("fastapi_tuned"), "target": 3.5},
                "fastapi_passing_on_text": {"is": day("fastapi_text")},
            },
            "uncached_day_with_postgres": {
                "idiomatic_fastapi": {"is": day("fastapi_idiomatic", with_postgres)},
                "tuned_fastapi": {"is": day("fastapi_tuned", with_postgres)},
                "fastapi_passing_on_text": {"is": day("fastapi_text", with_postgres)},
            },
        },
        "median": median,
        "all_rounds": rounds,
    }  # fmt: skip
    (HERE / "results/api.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["times"], indent=2))


main()
