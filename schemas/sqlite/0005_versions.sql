-- Numbers for revisions, and names for numbers.

ALTER TABLE machines ADD COLUMN versions INTEGER NOT NULL DEFAULT 0; -- the last number that was given

CREATE TABLE versions (
    machine     BLOB NOT NULL,
    number      INTEGER NOT NULL,
    revision    BLOB NOT NULL,
    description TEXT,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (machine, number),
    UNIQUE (machine, revision)
) WITHOUT ROWID;

CREATE TABLE aliases (
    made        INTEGER PRIMARY KEY AUTOINCREMENT,
    machine     BLOB NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    version     INTEGER NOT NULL,
    weight      INTEGER NOT NULL, -- percent of the starts that go to this version
    other       INTEGER,          -- the version that gets the others
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (machine, name)
);

-- What an execution was started by, where it was not the machine's own ARN. Most are not, and are in neither index.
ALTER TABLE executions ADD COLUMN version INTEGER;
ALTER TABLE executions ADD COLUMN alias TEXT;
CREATE INDEX executions_of_version ON executions (machine, version, id) WHERE version IS NOT NULL;
CREATE INDEX executions_of_alias ON executions (machine, alias, id) WHERE alias IS NOT NULL;
