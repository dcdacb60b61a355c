"""Measures both sides of bench/load.sh in turn and writes what it saw to bench/results/load.json.

    load.py URL ROWS ROUNDS STOCKSTREAM POSTMASTER_PID DIRECTORY
    load.py --pandas URL FILE METHOD      one load by pandas
"""

import datetime
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
SYMBOL = "AMZN"


def load_by_pandas(url, file, method):
    import pandas
    import sqlalchemy

    frame = pandas.read_csv(file, parse_dates=["time"])
    frame["time"] = frame["time"].dt.tz_localize("America/New_York").dt.tz_convert("UTC").dt.tz_localize(None)
    frame["symbol"] = SYMBOL
    frame["event_time"] = pandas.Timestamp.now("UTC")
    engine = sqlalchemy.create_engine(url.replace("postgres://", "postgresql+psycopg2://", 1))
    # multi: as many rows in one statement as its parameters allow.
    options = {"method": "multi", "chunksize": 8_000} if method == "multi" else {"chunksize": 10_000}
    frame.to_sql("stock", engine, schema="stream_db", if_exists="append", index=False, **options)


if sys.argv[1] == "--pandas":
    load_by_pandas(*sys.argv[2:5])
    sys.exit()

import psycopg2  # noqa: E402

URL, ROWS, ROUNDS, STOCKSTREAM = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
POSTMASTER, DIRECTORY = int(sys.argv[5]), pathlib.Path(sys.argv[6])
FILE = DIRECTORY / "bars.csv"

STOCKSTREAM_LOAD = [
    STOCKSTREAM, "--log", "warn", "feed", "replay", "--load", "--database-url", URL, "--table", "stream_db.stock",
    "--csv", f"{SYMBOL}={FILE}",
]  # fmt: skip
COMMANDS = {
    "stockstream": STOCKSTREAM_LOAD,
    "pandas_to_sql": [sys.executable, __file__, "--pandas", URL, str(FILE), "default"],
    "pandas_to_sql_multi": [sys.executable, __file__, "--pandas", URL, str(FILE), "multi"],
}


def write_file():
    """Prices that walk, minute by minute from 4:00 to 19:59 in New York, oldest day first: the same in every run."""
    chance, price, day, left = random.Random(7), 15_000, datetime.date(2015, 1, 2), ROWS
    with FILE.open("w") as file:
        file.write("time,open,high,low,close,volume\n")
        while left:
            if day.weekday() < 5:
                for minute in range(240, min(240 + left, 1_200)):
                    opened, price = price, max(1_000, price + chance.randint(-9, 9))
                    high, low = max(opened, price) + 5, min(opened, price) - 5
                    cents = (f"{value // 100}.{value % 100:02}" for value in (opened, high, low, price))
                    time_of_day = f"{minute // 60:02}:{minute % 60:02}:00"
                    file.write(f"{day} {time_of_day},{','.join(cents)},{chance.randint(100, 99_999)}\n")
                    left -= 1
            day += datetime.timedelta(days=1)


def ask(sql):
    connection = psycopg2.connect(URL)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


def content():
    row = ask(
        "select count(*), count(distinct time), sum(volume)::text, sum((close * 100)::bigint)::text, min(time)::text, "
        "max(time)::text from stream_db.stock"
    )
    return list(row)


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


def measure(command):
    cpu, start = cpu_of_postgres(), time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = child.stdout.read().strip()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command[0]} ended with {child.returncode}")
    client, postgres = usage.ru_utime + usage.ru_stime, cpu_of_postgres() - cpu
    return {
        "seconds": round(seconds, 2),
        "rows_per_second": round(ROWS / seconds),
        "cpu_seconds_client": round(client, 2),
        "cpu_seconds_postgres": round(postgres, 2),
        "rows_per_cpu_second": round(ROWS / (client + postgres)),
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
    }, said


write_file()
rounds = {name: [] for name in COMMANDS}
contents, again = {}, None
for number in range(ROUNDS):
    # Each round begins with another: what the disk remembers of one helps the next.
    names = list(COMMANDS)
    for name in names[number % len(names) :] + names[: number % len(names)]:
        ask("truncate stream_db.stock")
        measured, _ = measure(COMMANDS[name])
        rounds[name].append(measured)
        contents[name] = content()
        print(f"{name}: {measured['rows_per_second']:,} rows/s, {measured['rows_per_cpu_second']:,} per CPU-second", file=sys.stderr)
        if name == "stockstream":
            before = contents[name]
            again, said = measure(STOCKSTREAM_LOAD)
            if content() != before or "0 written, 0 corrected" not in said:
                sys.exit(f"loading the file again changed something: {said}")

if len({json.dumps(found) for found in contents.values()}) != 1:
    sys.exit(f"the tables differ: {contents}")

median = {
    name: {key: statistics.median(measured[key] for measured in all_of) for key in all_of[0]} for name, all_of in rounds.items()
}
ratios = {
    f"times_{name}": round(median["stockstream"]["rows_per_second"] / median[name]["rows_per_second"], 1)
    for name in COMMANDS
    if name != "stockstream"
}
result = {
    "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    "machine": {"processors": os.cpu_count(), "kernel": platform.release()},
    "rows": ROWS,
    "rounds": ROUNDS,
    "median": median,
    "ratios": ratios,
    "stockstream_again": again,
    "all_rounds": rounds,
}
target = HERE / "results" / "load.json"
target.write_text(json.dumps(result, indent=2) + "\n")
print(json.dumps({"median": median, "ratios": ratios}, indent=2))
