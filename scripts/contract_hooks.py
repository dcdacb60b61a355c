"""What JSON Schema cannot say of the parameters; loaded by scripts/contract.sh.

A query that contradicts itself is refused although each of its parameters is right by itself. Such queries are taken out
here, so that every other refusal of what the document allows is found.
"""

import datetime
from urllib.parse import unquote

import schemathesis


def instant(text):
    """The instant a parameter names; a day is its midnight, near enough."""
    try:
        value = datetime.datetime.fromisoformat(str(text).upper().replace("Z", "+00:00"))
    except ValueError:
        return None
    return value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)


def contradicts_itself(query):
    start, end = instant(query.get("start")), instant(query.get("end"))
    # A cursor, a version and a place in the stream are the server's own texts; nobody can make one up.
    made_up = any(query.get(name) not in (None, "") for name in ("cursor", "page_token", "version", "epoch", "since"))
    return made_up or (start is not None and end is not None and start > end - datetime.timedelta(days=1))


def is_no_order(case):
    """A partition of no topic; a drain, which is of everything, of one topic; a corrected copy of no record."""
    body = case.body if isinstance(case.body, dict) else {}
    topic, partition = body.get("topic"), body.get("partition")
    drains = (case.path_parameters or {}).get("order") == "drain"
    is_copy_of_nothing = body.get("value") is not None and body.get("record") is None
    return (partition is not None and topic is None) or (topic is not None and drains) or is_copy_of_nothing


def is_outside_the_calendar(case):
    """The first and the last year of RFC 3339: no time zone can be applied to them."""
    # Those of the path are encoded already.
    texts = [*map(unquote, map(str, (case.path_parameters or {}).values())), *(case.query or {}).values()]
    return any(found.year in (datetime.MINYEAR, datetime.MAXYEAR) for found in map(instant, texts) if found)


def is_not_given(case):
    """A parameter without a value, which is no number by its schema, counts as not given, and so is not refused."""
    return any(value in ("", [""]) for value in (case.query or {}).values())


@schemathesis.hook
def filter_case(context, case):
    is_valid = case.meta is None or case.meta.generation.mode.is_positive
    if not is_valid:
        return not is_not_given(case)
    return not (
        contradicts_itself(case.query or {}) or is_no_order(case) or is_outside_the_calendar(case)
    )
