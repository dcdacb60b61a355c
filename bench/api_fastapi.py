"""The same question for bars in FastAPI and asyncpg, three times; served by uvicorn for bench/api.sh.

`idiomatic` is what FastAPI's documentation shows: annotated parameters, Pydantic models, a response model. `tuned` leaves out
what can be left out: no validation of what the database gave, prices as floats from the database on, orjson, a plain route.
`text` goes one step further and lets PostgreSQL write the JSON, so that Python only passes it on.

All ask what server/src/store/read.rs asks (OLDEST_MINUTES, NEWEST_MINUTES); asyncpg prepares it once for each connection.
"""

import datetime
import os
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import asyncpg
import orjson
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

SYMBOL = "symbol_id = (select symbol_id from symbol where symbol = $1)"
BARS = f"select time, {{open}}, {{high}}, {{low}}, {{close}}, volume from bar where {SYMBOL} and {{window}} order by time"
# The last minute of the window, found in the index: PostgreSQL sorts a whole `distinct on` before a `limit` can stop it.
EDGE = f"from (select distinct time from stock where {SYMBOL} and time >= $2 and time < $3 order by time {{order}} limit $4) edge"
WINDOWS = {
    "asc": f"time >= $2 and time <= (select max(time) {EDGE.format(order='asc')})",
    "desc": f"time < $3 and time >= (select min(time) {EDGE.format(order='desc')})",
}
PRICES = ("open", "high", "low", "close")
EXACT = {name: name for name in PRICES}
FLOATS = {name: f"{name}::float8" for name in PRICES}
SQL = {sort: BARS.format(window=window, **EXACT) for sort, window in WINDOWS.items()}
SQL_OF_FLOATS = {sort: BARS.format(window=window, **FLOATS) for sort, window in WINDOWS.items()}
# The row after the last of the page is no part of it, but says that there is a next one.
SQL_OF_TEXT = {
    sort: f"""with found as ({SQL[sort]}), page as (select * from found order by time {sort} limit $4 - 1)
    select json_build_object('bars', coalesce(json_agg(page order by time {sort}), '[]'), 'next_cursor',
        case when (select count(*) from found) = $4 then {last}(time) end)::text from page"""
    for sort, last in (("asc", "max"), ("desc", "min"))
}
FIRST = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc)
LAST = datetime.datetime(9999, 12, 31, tzinfo=datetime.timezone.utc)


def pool(**options):
    @asynccontextmanager
    async def lifespan(app: FastAPI):
        async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=16, **options) as connections:
            app.state.pool = connections
            yield

    return lifespan


idiomatic = FastAPI(lifespan=pool())


class Bar(BaseModel):
    time: datetime.datetime
    open: float
    high: float
    low: float
    close: float
    volume: int


class BarsPage(BaseModel):
    bars: list[Bar]
    next_cursor: str | None


async def connection(request: Request):
    async with request.app.state.pool.acquire() as connection:
        yield connection


@idiomatic.get("/api/v1/bars")
async def list_bars(
    connection: Annotated[asyncpg.Connection, Depends(connection)],
    symbol: Annotated[str, Query(pattern="^[A-Z][A-Z0-9.-]{0,14}$")],
    start: datetime.datetime = FIRST,
    end: datetime.datetime = LAST,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    sort: Literal["asc", "desc"] = "asc",
) -> BarsPage:
    rows = await connection.fetch(SQL[sort], symbol, start, end, limit + 1)
    if not rows:
        raise HTTPException(404, f"No row of {symbol} was ever stored")
    if sort == "desc":
        rows.reverse()
    bars = [Bar(**row) for row in rows[:limit]]
    return BarsPage(bars=bars, next_cursor=bars[-1].time.isoformat() if len(rows) > limit else None)


async def leave_alone(_connection):
    """Connections are not reset between two questions: these leave nothing behind."""


tuned = FastAPI(lifespan=pool(reset=leave_alone), openapi_url=None)
text = FastAPI(lifespan=pool(reset=leave_alone), openapi_url=None)


def question(request: Request):
    query = request.query_params
    symbol, sort = query["symbol"], query.get("sort", "asc")
    start = datetime.datetime.fromisoformat(query["start"]) if "start" in query else FIRST
    end = datetime.datetime.fromisoformat(query["end"]) if "end" in query else LAST
    return sort, (symbol, start, end, int(query.get("limit", 100)) + 1)


async def list_bars_fast(request: Request) -> Response:
    sort, parameters = question(request)
    rows = await request.app.state.pool.fetch(SQL_OF_FLOATS[sort], *parameters)
    if not rows:
        return Response(orjson.dumps({"detail": "unknown"}), 404, media_type="application/json")
    if sort == "desc":
        rows.reverse()
    limit = parameters[3] - 1
    bars = [dict(row) for row in rows[:limit]]
    cursor = bars[-1]["time"].isoformat() if len(rows) > limit else None
    body = orjson.dumps({"bars": bars, "next_cursor": cursor}, option=orjson.OPT_UTC_Z)
    return Response(body, media_type="application/json")


async def list_bars_as_text(request: Request) -> Response:
    sort, parameters = question(request)
    return Response(await request.app.state.pool.fetchval(SQL_OF_TEXT[sort], *parameters), media_type="application/json")


tuned.add_route("/api/v1/bars", list_bars_fast)
text.add_route("/api/v1/bars", list_bars_as_text)
