-- Approvals: what waits for a person, and how it was answered. Times are milliseconds since 1970.
CREATE TABLE approvals (
    id TEXT PRIMARY KEY NOT NULL,
    -- The process that waits; it holds a lock on a file of this name for as long as it lives.
    host TEXT NOT NULL,
    call TEXT NOT NULL,
    caller TEXT NOT NULL,
    facts TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    state TEXT NOT NULL,
    by_whom TEXT,
    reply TEXT,
    settled INTEGER
) STRICT;
CREATE INDEX approvals_by_state ON approvals (state, created);
CREATE INDEX approvals_by_time ON approvals (created);
-- Answers from other processes, for the one that waits: it judges each and says so in `verdict`.
CREATE TABLE approval_answers (
    number INTEGER PRIMARY KEY NOT NULL,
    approval TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    reply TEXT NOT NULL,
    created INTEGER NOT NULL,
    verdict TEXT
) STRICT;
-- Answers that stand for a while: for one caller, one tool as it was, and one set of arguments.
CREATE TABLE approval_standing (
    id TEXT PRIMARY KEY NOT NULL,
    caller TEXT NOT NULL,
    tool TEXT NOT NULL,
    definition TEXT NOT NULL,
    arguments TEXT NOT NULL,
    facts TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX approval_standing_by_question ON approval_standing (caller, tool, arguments);
-- People who look at what waits, and until when they are known to.
CREATE TABLE approval_watchers (
    id TEXT PRIMARY KEY NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
