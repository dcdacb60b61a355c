"""A chart over UDF: PyWry's own UDF client and its chart, as they come from PyPI, pointed at Stockstream.

    pip install pywry==2.0.6
    python docs/examples/udf_chart.py [http://127.0.0.1:8080] [AMZN]

Serves the page, prints its address, opens it in the browser if there is one, and ends when the page is closed. The chart
asks again every second for what moved.
"""

import sys

from pywry import PyWry, WindowMode
from pywry.tvchart.udf import UDFAdapter

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
SYMBOL = sys.argv[2] if len(sys.argv) > 2 else "AMZN"

# PyWry asks from two event loops with one pool of connections, and a connection works in the loop only that opened it:
# closed after each answer, none is met by the other. With a key: add "Authorization": f"Bearer {KEY}".
feed = UDFAdapter(f"{URL}/udf", headers={"Connection": "close"}, poll_interval=1.0)
page = PyWry(mode=WindowMode.BROWSER, title=f"{SYMBOL} over UDF")
chart = feed.connect(page, symbol=SYMBOL, resolution="1")
print(chart.url, flush=True)
page.block()
