-- Logins: what authorization servers gave the host, for each server at a URL that a plugin stands for. They are of use to
-- whoever has them, so this file is its owner's alone.
CREATE TABLE logins (
    plugin TEXT NOT NULL,
    url TEXT NOT NULL,
    -- The secret of a registration that the host made itself.
    client_secret TEXT,
    -- Tokens, until when they are good, and who gave them, as JSON.
    credentials TEXT,
    -- What the server last wanted to be shown, and was not.
    challenge TEXT,
    PRIMARY KEY (plugin, url)
) STRICT;
