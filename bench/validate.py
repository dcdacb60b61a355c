"""Measures both sides of bench/validate.sh in turn and writes what it saw to bench/results/validate.json.

    validate.py URL ROWS ROUNDS STOCKSTREAM POSTMASTER_PID
"""

import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import psycopg2

URL, ROWS, ROUNDS, STOCKSTREAM, POSTMASTER = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
HERE = pathlib.Path(__file__).parent
SUITE = HERE / "validate.json"
EXPECTATIONS = json.loads(SUITE.read_text())["expectations"]
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 3600  # seconds for one run

COMMANDS = {
    "stockstream": [STOCKSTREAM, "--log", "warn", "validate", str(SUITE), "--table", "stock", "--json", "-"],
    "great_expectations": [sys.executable, str(HERE / "validate_gx.py"), URL, "stock", str(SUITE)],
}


def ask(sql):
    connection = psycopg2.connect(URL)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()
    finally:
        connection.close()


def cpu_of_postgres():
    """CPU seconds of PostgreSQL with all its processes, also those that ended."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.read_text().split(" ", 1)
        except OSError:
            continue  # it has ended meanwhile
        fields = rest.rpartition(")")[2].split()
        if int(pid) == POSTMASTER or int(fields[1]) == POSTMASTER:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


def scans():
    """Scans of the table so far, once every session but this one has ended and so has told its counts."""
    deadline = time.monotonic() + 60
    while ask("select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")[0]:
        if time.monotonic() > deadline:
            sys.exit("sessions do not end")
        time.sleep(0.05)
    return ask("select seq_scan, coalesce(idx_scan, 0) from pg_stat_user_tables where relname = 'stock'")


def measure(command):
    before, cpu, start = scans(), cpu_of_postgres(), time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "DATABASE_URL": URL})
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command[0]} ended with {child.returncode}")
    after = scans()
    measured = {
        "seconds": round(wall, 2),
        "cpu_seconds_client": round(usage.ru_utime + usage.ru_stime, 2),
        "cpu_seconds_postgres": round(cpu_of_postgres() - cpu, 2),
        "sequential_scans": after[0] - before[0],
        "index_scans": after[1] - before[1],
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
    }
    return measured, json.loads(output)


def by_expectation(results):
    """Results in the suite's order; Great Expectations gives them in another, and with kwargs of its own."""

    def of(expected):
        for result in results:
            found = result["expectation_config"]
            if found["type"] == expected["type"] and all(found["kwargs"].get(key) == value for key, value in expected["kwargs"].items()):
                return result
        sys.exit(f"no result of {expected}")

    return [of(expected) for expected in EXPECTATIONS]


def essence(result):
    """What both sides must say alike of an expectation."""
    found = result["result"]
    observed = found.get("observed_value")
    observed = None if observed is None else round(float(observed), 6)
    return [result["success"], observed, found.get("element_count"), found.get("unexpected_count")]


ask("select count(*), sum(volume) from stock")  # both begin with what fits into memory
rounds, versions = [], {}
for number in range(1, ROUNDS + 1):
    arms = list(COMMANDS) if number % 2 else list(reversed(COMMANDS))
    measured, said = {}, {}
    for arm in arms:
        measured[arm], output = measure(COMMANDS[arm])
        said[arm] = [essence(result) for result in by_expectation(output["results"])]
        versions[arm] = output.get("version") or output["meta"]["stockstream_version"]
        print(f"bench: round {number}, {arm}: {json.dumps(measured[arm])}", file=sys.stderr)
    if said["stockstream"] != said["great_expectations"]:
        for place, pair in enumerate(zip(said["stockstream"], said["great_expectations"])):
            if pair[0] != pair[1]:
                print(f"bench: expectation {place}: {pair[0]} and {pair[1]}", file=sys.stderr)
        sys.exit("the two do not say the same")
    rounds.append(measured)


def summary(arm):
    median = {key: statistics.median(one[arm][key] for one in rounds) for key in rounds[0][arm]}
    median["cpu_seconds"] = round(median["cpu_seconds_client"] + median["cpu_seconds_postgres"], 2)
    return {"version": versions[arm], **median, "seconds_by_round": [one[arm]["seconds"] for one in rounds]}


arms = {arm: summary(arm) for arm in COMMANDS}
ours, theirs = arms["stockstream"], arms["great_expectations"]
report = {
    "measured_at": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "rows": ROWS,
    "table_mb": round(ask("select pg_table_size('stock') / 1048576")[0]),
    "expectations": len(EXPECTATIONS),
    "rounds": ROUNDS,
    "processors": os.cpu_count(),
    "postgres": ask("show server_version")[0],
    "arms": arms,
    "times_great_expectations": {
        "seconds": round(theirs["seconds"] / ours["seconds"], 1),
        "cpu_seconds": round(theirs["cpu_seconds"] / ours["cpu_seconds"], 1),
    },
}
target = HERE / "results" / "validate.json"
target.write_text(json.dumps(report, indent=4) + "\n")
print(f"bench: written to {target}", file=sys.stderr)
print(json.dumps(report["times_great_expectations"]))
