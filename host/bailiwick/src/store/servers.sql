-- What plugins published that are programs or services of their own, so that they can be listed while they do not run.
CREATE TABLE servers (
    plugin   TEXT PRIMARY KEY NOT NULL,
    -- What it was when it said this: its command, or its URL.
    identity TEXT NOT NULL,
    -- What it said last, as JSON, and when, in seconds since 1970.
    listed   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    -- The definitions that were pinned when it was first used, as JSON. A lock file is stronger.
    pinned   TEXT NOT NULL
) STRICT;
