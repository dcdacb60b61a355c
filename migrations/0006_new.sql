-- The change log tells rows that are new from rows that changed, as the live feed does: whoever is told of a change by the
-- log, because its commit was another process's or was missed, is told the same. Lines written before say `a` for both.
comment on column change_log.outcomes is 'n: a row that was not there before; a: applied to a row that was; l: late; d: deleted';
