"""Runs a suite with Great Expectations itself, each expectation alone: by SQL on PostgreSQL, and by pandas on the same rows.

    oracle.py CONNECTION TABLE SUITE.json

CONNECTION is a postgres:// URL, of which the host may be a socket's directory. Prints a JSON line for each expectation: {"sql": RESULT, "pandas": RESULT}, where RESULT is
Great Expectations' result, or {"error": TEXT} where it could not evaluate the expectation.
"""

import json
import os
import sys
import urllib.parse
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ["TQDM_DISABLE"] = "1"
warnings.filterwarnings("ignore")

import great_expectations as gx  # noqa: E402
import pandas  # noqa: E402
import sqlalchemy  # noqa: E402


def for_sqlalchemy(url):
    parts = urllib.parse.urlsplit(url)
    account, _, address = parts.netloc.rpartition("@")
    host, _, port = address.partition(":")
    query = urllib.parse.urlencode({"host": urllib.parse.unquote(host), "port": port or "5432"})
    # What the query says wins; Great Expectations wants to see a host that looks like one.
    return f"postgresql+psycopg2://{account}@localhost{parts.path}?{query}"


connection, table, file = for_sqlalchemy(sys.argv[1]), sys.argv[2], sys.argv[3]
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False, "metric_calculations": False}
source = context.data_sources.add_postgres("postgres", connection_string=connection)
sql = source.add_table_asset(table, table_name=table).add_batch_definition_whole_table("all").get_batch()
frame = pandas.read_sql_table(table, sqlalchemy.create_engine(connection))
frames = context.data_sources.add_pandas("pandas").add_dataframe_asset(table)
rows = frames.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": frame})


def run(batch, configuration):
    try:
        suite = gx.ExpectationSuite(name="one", expectations=[configuration])
        result = batch.validate(suite, result_format="SUMMARY").to_json_dict()["results"][0]
    except Exception as error:  # whatever it is, the expectation has no result
        return {"error": f"{type(error).__name__}: {error}"[:400]}
    if result["exception_info"] and "raised_exception" not in result["exception_info"]:
        return {"error": str(next(iter(result["exception_info"].values()))["exception_message"])[:400]}
    if result["exception_info"].get("raised_exception"):
        return {"error": str(result["exception_info"]["exception_message"])[:400]}
    return {"success": bool(result["success"]), "result": result["result"]}


with open(file, encoding="utf-8") as opened:
    for configuration in json.load(opened)["expectations"]:
        print(json.dumps({"sql": run(sql, configuration), "pandas": run(rows, configuration)}, default=str), flush=True)
