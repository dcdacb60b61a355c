-- The rows as the source's table has them: its columns, in its order. Expectation suites are written for that table, and
-- are run against this.
create view source_stock as
select record_id, time, open, high, low, close, volume, symbol, event_time
from stock
join symbol using (symbol_id);
