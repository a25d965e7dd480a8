-- Documents of services that came with their registrations.
CREATE TABLE registration_documents (
    id   TEXT PRIMARY KEY NOT NULL,
    body BLOB NOT NULL
) STRICT;
-- Schemas that are laid over tools of the configuration, by the names callers use. Times are seconds since 1970.
CREATE TABLE narrowings (
    tool    TEXT PRIMARY KEY NOT NULL,
    -- JSON Schema, each.
    input   TEXT,
    output  TEXT,
    owner   TEXT NOT NULL,
    updated INTEGER NOT NULL
) STRICT;
