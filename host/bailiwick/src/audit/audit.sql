-- The audit. Released steps never change.

-- One record each, numbered without gaps. What is searched for is read out of the record itself: it cannot say another
-- thing than what the hash covers.
CREATE TABLE records (
    seq INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    hash BLOB NOT NULL,
    time TEXT AS (record ->> '$.time'),
    caller TEXT AS (record ->> '$.caller'),
    tool TEXT AS (record ->> '$.tool'),
    plugin TEXT AS (record ->> '$.plugin'),
    outcome TEXT AS (record ->> '$.outcome'),
    denied INTEGER AS (record ->> '$.denials' IS NOT NULL)
) STRICT;

-- The last record that was removed because of its age, or to make room: the chain goes on from there.
CREATE TABLE anchor (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
INSERT INTO anchor VALUES (1, 0, zeroblob(32));
