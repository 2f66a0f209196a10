-- Executions that had failed and were set going again: how often, and when last.

ALTER TABLE executions ADD COLUMN redrives integer NOT NULL DEFAULT 0, ADD COLUMN redriven_at bigint,
    ADD COLUMN place uuid; -- in lists, where it is not that of its id: as if it had started when it was redriven
CREATE INDEX executions_redriven ON executions (machine, place) WHERE place IS NOT NULL;

-- Each redrive, with what its caller called it, so that one that is asked for twice is made once.
CREATE TABLE redrives (
    execution uuid NOT NULL,
    number    integer NOT NULL,
    at        bigint NOT NULL,
    token     text COLLATE "C",
    PRIMARY KEY (execution, number)
);

-- The last change that is not announced; what is announced late takes away no mark of a later one.
ALTER TABLE unannounced ADD COLUMN number integer NOT NULL DEFAULT 2;
