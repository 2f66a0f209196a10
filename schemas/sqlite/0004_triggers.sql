-- What starts executions by itself: rules over events, queues and schedules.
CREATE TABLE triggers (
    id            BLOB NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    origin        INTEGER NOT NULL,  -- 0 file, 1 command, 2 API
    definition    TEXT NOT NULL,
    paused        INTEGER NOT NULL,
    revision      INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    next_tick     INTEGER,
    claimed_until INTEGER
) WITHOUT ROWID;

CREATE INDEX triggers_next_tick ON triggers (next_tick) WHERE next_tick IS NOT NULL AND NOT paused;

-- What triggers were before they were changed or removed, until their queues and bindings are gone.
CREATE TABLE trigger_remains (
    id         BLOB NOT NULL,
    name       TEXT NOT NULL,
    origin     INTEGER NOT NULL,
    definition TEXT NOT NULL,
    paused     INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    next_tick  INTEGER,
    since      INTEGER NOT NULL,
    PRIMARY KEY (id, revision)
) WITHOUT ROWID;
