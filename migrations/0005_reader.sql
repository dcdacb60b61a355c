-- The role under which questions are answered. It may read and nothing else, so that a hole in a query of the API can
-- show, but never change, what is stored. Nobody logs in as it: reader sessions step down to it (`set role`).
--
-- Roles belong to the whole server and not to one database: another database's migration may have made it already, or
-- may be making it at this moment. A user who may not make roles gets none; the program says so in its log and
-- relies on read-only transactions instead.
do $$
begin
    if not exists (select from pg_roles where rolname = 'stockstream_reader') then
        begin
            create role stockstream_reader nologin;
        exception
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise notice 'this user may not create the role stockstream_reader: readers use read-only transactions';
                return;
        end;
    end if;
    begin
        -- `set role` needs membership, since PostgreSQL 16 one with the SET option; a superuser has it anyway. Asked first,
        -- because granting writes to a table that all databases share, where two migrations at once would collide.
        if not pg_has_role(current_user, 'stockstream_reader',
            case when current_setting('server_version_num')::integer >= 160000 then 'SET' else 'MEMBER' end) then
            execute format('grant stockstream_reader to %I', current_user);
        end if;
        execute format('grant usage on schema %I to stockstream_reader', current_schema());
        execute format('grant select on all tables in schema %I to stockstream_reader', current_schema());
        -- Also what later migrations make.
        execute format('alter default privileges in schema %I grant select on tables to stockstream_reader', current_schema());
    exception
        when insufficient_privilege then
            raise notice 'this user may not grant to stockstream_reader: readers use read-only transactions';
    end;
end $$;
