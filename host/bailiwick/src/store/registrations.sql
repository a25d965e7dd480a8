-- Registrations: services and tools that were registered while the host was there. Times are seconds since 1970.
CREATE TABLE registrations (
    id      TEXT PRIMARY KEY NOT NULL,
    -- The name of the plugin.
    name    TEXT NOT NULL UNIQUE,
    -- All that is known of it but values, as JSON.
    record  TEXT NOT NULL,
    -- Its values: AES-256-GCM with a key of the host's own, bound to the whole of `record`.
    sealed  BLOB NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
) STRICT;
-- What was done to them, when and by whom. Never a value.
CREATE TABLE registration_changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    time   INTEGER NOT NULL,
    caller TEXT NOT NULL,
    -- `add`, `update` or `remove`.
    action TEXT NOT NULL,
    id     TEXT NOT NULL,
    name   TEXT NOT NULL,
    -- The record as it is afterwards, or was before it was removed.
    record TEXT NOT NULL
) STRICT;
