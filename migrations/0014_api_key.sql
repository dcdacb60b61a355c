-- Keys for programs: who may ask this server for what, and how often.
--
-- A key is an id, which is no secret, and a secret of 256 random bits, of which only the SHA-256 is here. A slow hash with
-- a salt protects passwords, because people choose them from a small set that can be tried out; nobody tries out 2^256
-- random secrets, and two keys never have the same. It would only make every request expensive, also those with wrong keys.
--
-- Rows are few and read as a whole by every instance, so there is no index but the primary key. A revoked key keeps its
-- row, so that its id still says whose it was. The audit trail says when it was made and revoked.
create table api_key (
    key_id               text        primary key check (key_id ~ '^SK[A-Z2-7]{18}$'),
    secret_sha256        bytea       not null unique check (octet_length(secret_sha256) = 32),
    name                 text        not null check (char_length(name) between 1 and 100), -- who or what it is for
    scopes               text[]      not null check (scopes <@ array['read', 'stream', 'control'] and cardinality(scopes) > 0),
    requests_per_second  integer     check (requests_per_second > 0), -- null: any number
    created_at           timestamptz not null default now(),
    revoked_at           timestamptz check (revoked_at >= created_at)
);

-- Whoever may only read data has no business with digests of keys. There is no such role where it could not be made.
do $$
begin
    if exists (select from pg_roles where rolname = 'stockstream_reader') then
        revoke all on api_key from stockstream_reader;
    end if;
end $$;

-- Every instance keeps the keys in memory and reads them again when it is told so, whoever changed them.
create function tell_api_keys_changed() returns trigger language plpgsql as $$
begin
    notify stockstream_api_key;
    return null;
end
$$;

create trigger api_key_changed after insert or update or delete or truncate on api_key
    for each statement execute function tell_api_keys_changed();
