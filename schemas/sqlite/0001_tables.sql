-- Times are milliseconds since 1970. Ids are UUIDs of 16 bytes. Branch paths sort byte by byte.
-- Bodies are opaque; they are blobs because their spelling must survive.

CREATE TABLE machines (
    made          INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of lists
    id            BLOB NOT NULL UNIQUE,
    name          TEXT NOT NULL UNIQUE,
    workflow_type TEXT NOT NULL,                     -- STANDARD, EXPRESS
    created_at    INTEGER NOT NULL,
    revision      BLOB NOT NULL
);

-- Immutable; outlives its machine.
CREATE TABLE revisions (
    id         BLOB NOT NULL PRIMARY KEY,
    machine    BLOB NOT NULL,
    initial    INTEGER NOT NULL,
    definition TEXT NOT NULL,
    role_arn   TEXT NOT NULL,
    settings   TEXT NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE activities (
    made       INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

CREATE TABLE executions (
    id           BLOB NOT NULL PRIMARY KEY,
    events       INTEGER NOT NULL,  -- recorded so far: the id of the last one
    machine      BLOB NOT NULL,
    machine_name TEXT NOT NULL,
    revision     BLOB NOT NULL,
    name         TEXT NOT NULL,
    input_hash   BLOB NOT NULL,
    status       INTEGER NOT NULL,  -- 0 running, 1 succeeded, 2 failed, 3 timed out, 4 aborted
    started_at   INTEGER NOT NULL,
    stopped_at   INTEGER,
    deadline     INTEGER,
    error        TEXT
) WITHOUT ROWID;

-- A machine has one name for good, so this makes names unique in a machine; and it finds by both names.
CREATE UNIQUE INDEX executions_by_name ON executions (machine_name, name, machine);
CREATE INDEX executions_of_machine ON executions (machine, id);
CREATE INDEX executions_by_status ON executions (machine, status, id);
CREATE INDEX executions_running ON executions (deadline) WHERE status = 0;

-- The fence: one row per living branch, updated in place.
CREATE TABLE branches (
    execution BLOB NOT NULL,
    branch    TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    stamp     INTEGER NOT NULL,
    phase     INTEGER NOT NULL,  -- 0 runnable, 1 sleeping, 2 dispatched, 3 forked, 4 queued, 5 ended
    moved_at  INTEGER NOT NULL,
    wake      INTEGER,
    due       INTEGER,
    task      INTEGER,
    events    INTEGER NOT NULL,  -- recorded by this branch and by all that it joined
    children  INTEGER,           -- of its fork, as are the next three
    launched  INTEGER,
    open      INTEGER,
    failed    INTEGER,           -- index of the first child that failed
    cause     TEXT,              -- the event that a launched child, or a parent made runnable, follows
    PRIMARY KEY (execution, branch)
) WITHOUT ROWID;

CREATE INDEX branches_due ON branches (due) WHERE due IS NOT NULL;

-- Append-only: one row per transition. The body is last, so that counting never reads it.
CREATE TABLE history (
    execution BLOB NOT NULL,
    branch    TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    first_id  INTEGER NOT NULL,  -- id of the first event in the body
    events    INTEGER NOT NULL,
    body      BLOB NOT NULL
);

-- Second walls behind the fence: a transition is recorded once, and an id is given once.
CREATE UNIQUE INDEX history_of_branch ON history (execution, branch, seq);
CREATE UNIQUE INDEX history_in_order ON history (execution, first_id) WHERE events > 0;
