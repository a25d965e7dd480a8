-- Sessions: what services gave the host when it logged in there, for each plugin.
CREATE TABLE sessions (
    plugin TEXT PRIMARY KEY NOT NULL,
    -- What was logged in with, where and how: a keyed digest, which another configuration does not have.
    login  TEXT NOT NULL,
    -- What it gave: AES-256-GCM with a key of the host's own, bound to the other two.
    sealed BLOB NOT NULL
) STRICT;
