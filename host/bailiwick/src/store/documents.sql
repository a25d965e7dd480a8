-- Documents of HTTP services as they were fetched, with what it takes to ask whether they changed.
CREATE TABLE documents (
    plugin   TEXT NOT NULL,
    url      TEXT NOT NULL,
    -- `ETag` and `Last-Modified` of the answer, if it had them.
    etag     TEXT,
    modified TEXT,
    -- When it was fetched, or found to be as it was, in seconds since 1970.
    at       INTEGER NOT NULL,
    body     BLOB NOT NULL,
    PRIMARY KEY (plugin, url)
) STRICT;
