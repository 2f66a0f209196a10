-- Executions that had failed and were set going again: how often, and when last.

ALTER TABLE executions ADD COLUMN redrives INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN redriven_at INTEGER;
ALTER TABLE executions ADD COLUMN place BLOB; -- in lists, where it is not that of its id: as if it had started when it was redriven
CREATE INDEX executions_redriven ON executions (machine, place) WHERE place IS NOT NULL;

-- Each redrive, with what its caller called it, so that one that is asked for twice is made once.
CREATE TABLE redrives (
    execution BLOB NOT NULL,
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    token     TEXT,
    PRIMARY KEY (execution, number)
) WITHOUT ROWID;

-- The last change that is not announced; what is announced late takes away no mark of a later one.
ALTER TABLE unannounced ADD COLUMN number INTEGER NOT NULL DEFAULT 2;
