"""Clients of others, as they come from their packages, against a running server; run by scripts/clients.sh.

    clients.py http://127.0.0.1:PORT

Each check is a function whose name says what must hold. The last line is "N passed, N failed".
"""

import asyncio
import datetime
import decimal
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import traceback
import urllib.request

import pyarrow
import pyarrow.parquet
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.live import StockDataStream
from alpaca.data.requests import StockBarsRequest, StockLatestBarRequest, StockSnapshotRequest
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from pywry.tvchart.udf import UDFAdapter

URL = sys.argv[1]
SYMBOLS = ["AAPL", "AMZN"]
PATIENCE = 60  # seconds for a live bar, which comes many times a second
client = StockHistoricalDataClient("key", "secret", url_override=URL)


def bars(**changes):
    request = {"symbol_or_symbols": SYMBOLS, "timeframe": TimeFrame.Minute, "limit": 500, **changes}
    return client.get_stock_bars(StockBarsRequest(**request)).data


def bars_come_by_symbol_and_in_order():
    found = bars(limit=None, start=latest_time() - datetime.timedelta(days=1))
    assert sorted(found) == SYMBOLS, sorted(found)
    for symbol, of_symbol in found.items():
        times = [bar.timestamp for bar in of_symbol]
        assert times == sorted(set(times)), symbol
        assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in of_symbol)
        assert all(bar.symbol == symbol and bar.volume >= 0 and bar.trade_count is None for bar in of_symbol)


def latest_time():
    request = StockLatestBarRequest(symbol_or_symbols="AMZN")
    return client.get_stock_latest_bar(request)["AMZN"].timestamp


def paging_has_every_bar_once():
    end = latest_time() - datetime.timedelta(minutes=5)
    whole = bars(limit=100, end=end, symbol_or_symbols="AMZN")["AMZN"]
    # The client itself follows next_page_token; small pages are asked for by hand.
    paged, token = [], None
    while len(paged) < 100:
        page = client.get("/stocks/AMZN/bars", {"timeframe": "1Min", "limit": 7, "end": end.isoformat(), "page_token": token})
        paged += page["bars"]
        token = page["next_page_token"]
        if token is None:
            break
    assert len(whole) > 7, len(whole)
    seconds = [datetime.datetime.fromisoformat(bar["t"].replace("Z", "+00:00")) for bar in paged[: len(whole)]]
    assert seconds == [bar.timestamp for bar in whole]


def longer_bars_are_made_of_minutes():
    end = latest_time().replace(minute=0, second=0, microsecond=0)
    minutes = bars(limit=None, start=end - datetime.timedelta(hours=1), end=end, symbol_or_symbols="AMZN")
    hours = bars(timeframe=TimeFrame.Hour, start=end - datetime.timedelta(hours=1), end=end, symbol_or_symbols="AMZN")
    minutes = [bar for bar in minutes.get("AMZN", []) if bar.timestamp < end]
    hours = [bar for bar in hours.get("AMZN", []) if bar.timestamp < end]
    assert (len(hours) == 1) == bool(minutes), (hours, len(minutes))
    if minutes:
        [hour] = hours
        assert (hour.open, hour.close) == (minutes[0].open, minutes[-1].close)
        assert (hour.high, hour.low) == (max(bar.high for bar in minutes), min(bar.low for bar in minutes))
        assert hour.volume == sum(bar.volume for bar in minutes)
    for unit in (TimeFrame.Day, TimeFrame.Week, TimeFrame.Month, TimeFrame(7, TimeFrameUnit.Minute)):
        assert bars(timeframe=unit, limit=3, sort=Sort.DESC, symbol_or_symbols="AMZN")["AMZN"], unit.value


def the_latest_bar_is_the_newest():
    latest = client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=SYMBOLS))
    newest = bars(limit=2, sort=Sort.DESC, symbol_or_symbols="AMZN")["AMZN"][0]
    assert sorted(latest) == SYMBOLS and latest["AMZN"].timestamp <= newest.timestamp


def a_snapshot_has_the_minute_and_its_day():
    snapshot = client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=SYMBOLS))["AMZN"]
    assert snapshot.latest_trade is None and snapshot.latest_quote is None
    assert snapshot.daily_bar.close == snapshot.minute_bar.close
    assert snapshot.daily_bar.low <= snapshot.minute_bar.low
    assert snapshot.previous_daily_bar is None or snapshot.previous_daily_bar.timestamp < snapshot.daily_bar.timestamp


def a_refusal_is_the_clients_own_error():
    try:
        client.get("/stocks/bars", {"symbols": "AMZN", "timeframe": "2Day"})
    except APIError as error:
        assert error.status_code == 400 and error.code == 40010000 and "timeframe" in error.message
    else:
        raise AssertionError("was not refused")


def live_bars_arrive():
    stream = StockDataStream("key", "secret", url_override=URL.replace("http", "ws", 1) + "/v2/iex")
    heard, enough = {"bars": [], "updated": [], "daily": []}, threading.Event()

    def hear(kind):
        async def take(bar):
            heard[kind].append(bar)
            if (heard["bars"] or heard["updated"]) and heard["daily"]:
                enough.set()

        return take

    stream.subscribe_bars(hear("bars"), "*")
    stream.subscribe_updated_bars(hear("updated"), "*")
    stream.subscribe_daily_bars(hear("daily"), "AMZN")
    listener = threading.Thread(target=stream.run, daemon=True)
    listener.start()
    arrived = enough.wait(PATIENCE)
    stream.stop()
    listener.join(PATIENCE)
    assert arrived, {kind: len(of_kind) for kind, of_kind in heard.items()}
    bar = (heard["bars"] + heard["updated"])[0]
    assert isinstance(bar.timestamp, datetime.datetime) and bar.low <= bar.close <= bar.high and bar.vwap is None
    assert all(day.symbol == "AMZN" for day in heard["daily"])


def fetch(path, **headers):
    with urllib.request.urlopen(urllib.request.Request(URL + path, headers=headers)) as answer:
        return answer.read(), answer.headers


def pyarrow_reads_the_same_bars_from_arrow_and_parquet_as_from_json():
    end = latest_time().strftime("%Y-%m-%dT%H:%M:00Z")
    path = f"/api/v1/bars?symbol=AMZN&limit=500&sort=desc&end={end}"
    bars = json.loads(fetch(path)[0], parse_float=decimal.Decimal)["bars"]
    assert len(bars) > 7, len(bars)
    prices = ["open", "high", "low", "close"]
    expected = [
        {"symbol": "AMZN", "time": datetime.datetime.fromisoformat(bar["time"].replace("Z", "+00:00")), "volume": bar["volume"]}
        | {name: bar[name] for name in prices}
        for bar in bars
    ]
    schema = pyarrow.schema(
        [pyarrow.field("symbol", pyarrow.string(), False), pyarrow.field("time", pyarrow.timestamp("us", "UTC"), False)]
        + [pyarrow.field(name, pyarrow.decimal128(38, 18), False) for name in prices]
        + [pyarrow.field("volume", pyarrow.int64(), False)]
    )
    stream, headers = fetch(path, Accept="application/vnd.apache.arrow.stream")
    assert headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    with pyarrow.ipc.open_stream(stream) as reader:
        from_stream = reader.read_all()
    from_file = pyarrow.parquet.read_table(io.BytesIO(fetch(path + "&format=parquet")[0]))
    for table in (from_stream, from_file):
        assert table.schema.equals(schema), table.schema
        assert table.to_pylist() == expected


def a_udf_client_reads_the_same_bars_as_json():
    async def ask():
        feed = UDFAdapter(URL + "/udf")
        config = await feed.get_config()
        assert config["supports_search"] and feed.supports_marks and feed.supports_time, config
        assert abs(await feed.get_server_time() - datetime.datetime.now().timestamp()) < 60
        assert "AMZN" in [found["symbol"] for found in await feed.search_symbols("amz")]
        symbol = await feed.resolve_symbol("AMZN")
        assert symbol["timezone"] == "America/New_York" and symbol["ticker"] == "AMZN", symbol
        end = latest_time()
        window = (int(end.timestamp()) - 7_200, int(end.timestamp()))
        assert isinstance(await feed.get_marks("AMZN", *window, "1m"), list)
        unknown = await feed.get_bars("NOPE", "1m", *window)
        assert unknown["status"] == "error" and "NOPE" in unknown["error"], unknown
        return end, await feed.get_bars("AMZN", "1m", *window, countback=50)

    end, found = asyncio.run(ask())
    path = f"/api/v1/bars?symbol=AMZN&limit=50&sort=desc&end={end.strftime('%Y-%m-%dT%H:%M:00Z')}"
    bars = json.loads(fetch(path)[0])["bars"][::-1]
    seconds = [datetime.datetime.fromisoformat(bar["time"].replace("Z", "+00:00")).timestamp() for bar in bars]
    assert found["status"] == "ok" and len(bars) > 7, found["status"]
    assert [bar["time"] for bar in found["bars"]] == seconds
    for name in ("open", "high", "low", "close", "volume"):
        assert [bar[name] for bar in found["bars"]] == [bar[name] for bar in bars], name


def the_example_page_charts_over_udf():
    # Its client opens a browser of the system; this one is ours.
    environment = {**os.environ, "BROWSER": "true"}
    example = [sys.executable, str(ROOT / "docs/examples/udf_chart.py"), URL, "AMZN"]
    page = subprocess.Popen(example, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        address = next(line.strip() for line in page.stdout if line.startswith("http://"))
        printed = run("node", "scripts/udf_page.mjs", address)
    finally:
        page.terminate()
        page.wait(PATIENCE)
    close = re.search(r"C (\d+\.\d+)", printed)
    assert close and int(re.search(r"(\d+) canvases", printed)[1]) > 0, printed
    closes = {f"{bar['close']:.2f}" for bar in json.loads(fetch("/api/v1/bars?symbol=AMZN&limit=1000&sort=desc")[0])["bars"]}
    assert close[1] in closes, printed


ROOT = pathlib.Path(__file__).resolve().parent.parent
SNIPPETS = dict(re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs/snippets.md").read_text(), re.DOTALL | re.MULTILINE))
MINUTES_10 = 600  # seconds for a program that may have to be compiled first


def run(*command, snippet=None):
    """What a program prints; the snippet goes to its standard input, with this server in the place of the written one."""
    text = None if snippet is None else SNIPPETS[snippet].replace("http://127.0.0.1:8080", URL)
    done = subprocess.run(command, input=text, text=True, cwd=ROOT, timeout=MINUTES_10, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def the_curl_snippet_runs():
    printed = run("bash", "-euo", "pipefail", snippet="bash")
    assert '"symbol":"AMZN"' in printed and "symbol,time,open,high,low,close,volume" in printed, printed


def the_python_snippet_runs():
    printed = run(sys.executable, "-", snippet="python")
    assert re.fullmatch(r"AMZN: [1-9]\d* hours, the last at \d+(\.\d+)?\n", printed), printed


def the_javascript_snippet_runs():
    printed = run("node", "--experimental-websocket", "--input-type=module", snippet="javascript")
    assert re.search(r"AMZN \S+ \d", printed) and "the last bars [" in printed and "changed " in printed, printed


def the_rust_snippet_runs():
    source = ROOT / "server/examples/snippet.rs"
    assert SNIPPETS["rust"] == source.read_text(), "docs/snippets.md has another text"
    printed = run("cargo", "run", "-q", "-p", "server", "--no-default-features", "--example", "snippet", "--", URL)
    assert re.match(r"AMZN \d", printed) and "from here on: epoch " in printed, printed


CHECKS = [
    bars_come_by_symbol_and_in_order,
    paging_has_every_bar_once,
    longer_bars_are_made_of_minutes,
    the_latest_bar_is_the_newest,
    a_snapshot_has_the_minute_and_its_day,
    a_refusal_is_the_clients_own_error,
    live_bars_arrive,
    pyarrow_reads_the_same_bars_from_arrow_and_parquet_as_from_json,
    a_udf_client_reads_the_same_bars_as_json,
    the_example_page_charts_over_udf,
    the_curl_snippet_runs,
    the_python_snippet_runs,
    the_javascript_snippet_runs,
    the_rust_snippet_runs,
]


def main():
    passed = failed = 0
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            check()
            passed += 1
            print(f"ok      {name}")
        except Exception:
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


main()
