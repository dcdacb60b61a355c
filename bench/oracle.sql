-- What the table must hold at the end, by the written rule and nothing of stockstream's code: from the raw records of
-- the topic, in the order of their offsets. Run in a scratch database; leaves the table oracle.
create table oracle as
with record as materialized (
    select "offset", (value::json -> 'payload')::jsonb as payload from raw
), change as (
    select "offset",
           payload -> 'after' as row,
           (payload #>> '{after,record_id}')::bigint as record_id,
           to_timestamp((payload #>> '{after,event_time}')::numeric / 1000) as event_time,
           -- file number, position in the file, row in the event
           substring(payload #>> '{source,file}' from '\d+$')::numeric * 1e18
             + (payload #>> '{source,pos}')::numeric * 1e6 + (payload #>> '{source,row}')::numeric as version
    from record
), seen as (
    select *, max(version) over (partition by record_id order by "offset" rows between unbounded preceding and 1 preceding) as newest
    from change
)
-- Stage 1: what is not newer than all before it for its key is a duplicate. Stage 2: of the rest the latest event time
-- stands, and of equal ones the later version.
select distinct on (record_id)
       record_id,
       row ->> 'symbol' as symbol,
       to_timestamp((row ->> 'time')::numeric / 1000) as time,
       round((row ->> 'open')::numeric, 4) as open,
       round((row ->> 'high')::numeric, 4) as high,
       round((row ->> 'low')::numeric, 4) as low,
       round((row ->> 'close')::numeric, 4) as close,
       (row ->> 'volume')::numeric::bigint as volume,
       event_time
from seen
where newest is null or version > newest
order by record_id, event_time desc, version desc;
