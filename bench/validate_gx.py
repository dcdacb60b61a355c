"""Validates one table with one suite by Great Expectations: all of it in one call, by SQL, as its users do.

    validate_gx.py CONNECTION TABLE SUITE.json

Prints the result's success and what each expectation found, as JSON.
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

parts = urllib.parse.urlsplit(sys.argv[1])
connection = parts._replace(scheme="postgresql+psycopg2").geturl()
with open(sys.argv[3], encoding="utf-8") as opened:
    suite = json.load(opened)

context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False, "metric_calculations": False}
source = context.data_sources.add_postgres("postgres", connection_string=connection)
batch = source.add_table_asset(sys.argv[2], table_name=sys.argv[2]).add_batch_definition_whole_table("all").get_batch()
expectations = gx.ExpectationSuite(name=suite["name"], expectations=suite["expectations"])
result = batch.validate(expectations, result_format="SUMMARY").to_json_dict()
print(json.dumps({"version": gx.__version__, "success": result["success"], "results": result["results"]}, default=str))
