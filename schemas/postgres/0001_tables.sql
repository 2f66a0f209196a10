-- Times are milliseconds since 1970. Branch paths sort byte by byte. Bodies are opaque; they are bytes, and
-- never jsonb, because their spelling must survive.

CREATE TABLE machines (
    made          bigint GENERATED ALWAYS AS IDENTITY UNIQUE, -- the order of lists
    id            uuid PRIMARY KEY,
    name          text COLLATE "C" NOT NULL UNIQUE,
    workflow_type text NOT NULL,                              -- STANDARD, EXPRESS
    created_at    bigint NOT NULL,
    revision      uuid NOT NULL
);

-- Immutable; outlives its machine.
CREATE TABLE revisions (
    id         uuid PRIMARY KEY,
    machine    uuid NOT NULL,
    initial    boolean NOT NULL,
    definition text NOT NULL,
    role_arn   text NOT NULL,
    settings   text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE activities (
    made       bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    name       text COLLATE "C" PRIMARY KEY,
    created_at bigint NOT NULL
);

-- What the whole deployment shares; the first value stays.
CREATE TABLE settings (
    name  text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- By week of the start: ids are UUIDv7, so ranges of ids are ranges of time. What no partition was made for
-- in time goes to the default one, so that nothing is ever refused.
CREATE TABLE executions (
    id           uuid PRIMARY KEY,
    machine      uuid NOT NULL,
    revision     uuid NOT NULL,
    started_at   bigint NOT NULL,
    stopped_at   bigint,
    deadline     bigint,
    status       smallint NOT NULL, -- 0 running, 1 succeeded, 2 failed, 3 timed out, 4 aborted
    machine_name text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    input_hash   bytea NOT NULL,
    error        text
) PARTITION BY RANGE (id);

CREATE TABLE executions_default PARTITION OF executions DEFAULT WITH (fillfactor = 80);
CREATE INDEX executions_of_machine ON executions (machine, id);
CREATE INDEX executions_by_status ON executions (machine, status, id);
CREATE INDEX executions_overdue ON executions (deadline) WHERE status = 0 AND deadline IS NOT NULL;

-- Names that callers gave; a name that was made up is the id itself. A machine has one name for good, so this
-- makes names unique in a machine, and it finds by both names.
CREATE TABLE execution_names (
    machine_name text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    machine      uuid NOT NULL,
    execution    uuid NOT NULL,
    PRIMARY KEY (machine_name, name, machine)
);

-- The fence: one row per living branch, updated in place. No column that a plain transition changes is in an
-- index, so that its new version stays on the page and costs no index entry.
CREATE TABLE branches (
    execution uuid NOT NULL,
    moved_at  bigint NOT NULL,
    before    bigint NOT NULL, -- events recorded by those above, when it began
    events    bigint NOT NULL, -- recorded by this branch and by all that it joined
    below     bigint NOT NULL, -- recorded by the children of its fork that have ended
    seq       integer NOT NULL,
    stamp     integer NOT NULL,
    phase     smallint NOT NULL, -- 0 runnable, 1 sleeping, 2 dispatched, 3 forked, 4 queued, 5 ended
    branch    text COLLATE "C" NOT NULL,
    wake      bigint,
    due       bigint,
    task      integer,
    children  integer, -- of its fork, as are the next three
    launched  integer,
    open      integer,
    failed    integer, -- index of the first child that failed
    cause     text,    -- the event that a launched child, or a parent made runnable, follows
    PRIMARY KEY (execution, branch)
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX branches_due ON branches (due) WHERE due IS NOT NULL;

-- Append-only: one row per transition, by day of the execution's start. The body is last, so that counting
-- never reads it. The key is a second wall behind the fence: a transition is recorded once.
CREATE TABLE history (
    execution uuid NOT NULL,
    pos       bigint NOT NULL,  -- transaction and place in it: the order of events
    seq       integer NOT NULL,
    count     integer NOT NULL, -- events in the body
    branch    text COLLATE "C" NOT NULL,
    body      bytea NOT NULL,
    PRIMARY KEY (execution, branch, seq)
) PARTITION BY RANGE (execution);

-- Faster than the usual compression where the server has it.
DO $$
BEGIN
    ALTER TABLE history ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;

CREATE TABLE history_default PARTITION OF history DEFAULT;
