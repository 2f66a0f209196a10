-- Numbers for revisions, and names for numbers.

ALTER TABLE machines ADD COLUMN versions integer NOT NULL DEFAULT 0; -- the last number that was given

CREATE TABLE versions (
    machine     uuid NOT NULL,
    number      integer NOT NULL,
    revision    uuid NOT NULL,
    description text,
    created_at  bigint NOT NULL,
    PRIMARY KEY (machine, number),
    UNIQUE (machine, revision)
);

CREATE TABLE aliases (
    made        bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    machine     uuid NOT NULL,
    name        text COLLATE "C" NOT NULL,
    description text,
    version     integer NOT NULL,
    weight      smallint NOT NULL, -- percent of the starts that go to this version
    other       integer,           -- the version that gets the others
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (machine, name)
);

-- What an execution was started by, where it was not the machine's own ARN. Most are not, and are in neither index.
ALTER TABLE executions ADD COLUMN version integer, ADD COLUMN alias text COLLATE "C";
CREATE INDEX executions_of_version ON executions (machine, version, id) WHERE version IS NOT NULL;
CREATE INDEX executions_of_alias ON executions (machine, alias, id) WHERE alias IS NOT NULL;
