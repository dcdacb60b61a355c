-- Who changed what by hand, and who tried to.
--
-- One row per attempt that would change something through the control endpoints or a command, written in the transaction
-- of the change where there is one: there is no change without its row. Reading is not recorded. Refused attempts are
-- recorded too, a few per minute and no more, so that guessing a token fills no disk.
--
-- Rows are only added; a trigger says so. Whoever must shorten the table disables it first, which is a decision and not
-- an accident. The primary key is also the order of reading, newest first, so there is no other index.
create table audit (
    audit_id  bigint generated always as identity primary key,
    at        timestamptz not null default now(),
    actor     text        not null, -- token or anonymous, with the address: "token 127.0.0.1"; "command" for the command line
    action    text        not null, -- pipeline.pause, quarantine.redrive, …
    subject   text        not null, -- what it was about: a partition as topic[0], or all
    outcome   text        not null check (outcome in ('done', 'refused', 'failed')),
    detail    jsonb       not null default '{}' -- parameters and counts; never a secret
);

create function audit_is_only_added_to() returns trigger language plpgsql as $$
begin
    raise exception 'the audit trail is only added to';
end
$$;

create trigger audit_only_added before update or delete on audit
    for each statement execute function audit_is_only_added_to();
