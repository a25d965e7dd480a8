-- Keys: what is known of each, and the hash that proves it. Times are seconds since 1970.
CREATE TABLE keys (
    name    TEXT PRIMARY KEY NOT NULL,
    -- What the hash is found by: 64 bits of the key's digest, in hexadecimal digits.
    id      TEXT NOT NULL,
    -- Argon2id, as PHC text.
    hash    TEXT NOT NULL,
    -- A policy of the configuration, or rights of the key's own as JSON.
    policy  TEXT,
    rights  TEXT,
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER,
    CHECK ((policy IS NULL) <> (rights IS NULL))
) STRICT;

-- What callers had of their budgets since `begun`, in milliseconds since 1970.
CREATE TABLE spent (
    caller TEXT PRIMARY KEY NOT NULL,
    begun  INTEGER NOT NULL,
    calls  INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    bytes  INTEGER NOT NULL
) STRICT;
