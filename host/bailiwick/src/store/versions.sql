-- Sources of programs that callers made tools of: the one that is, and some of those before. In the table of changes to
-- registrations they are left out. Times are seconds since 1970.
CREATE TABLE code_versions (
    -- The registration.
    id       TEXT NOT NULL,
    -- From 1.
    number   INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    -- Who gave it.
    caller   TEXT NOT NULL,
    language TEXT NOT NULL,
    source   TEXT NOT NULL,
    PRIMARY KEY (id, number)
) STRICT;
