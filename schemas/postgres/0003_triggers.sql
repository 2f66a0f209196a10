-- What starts executions by itself: rules over events, queues and schedules.
CREATE TABLE triggers (
    id            uuid PRIMARY KEY,
    name          text COLLATE "C" NOT NULL UNIQUE,
    origin        smallint NOT NULL, -- 0 file, 1 command, 2 API
    definition    text NOT NULL,
    paused        boolean NOT NULL,
    revision      bigint NOT NULL,
    created_at    bigint NOT NULL,
    next_tick     bigint,
    claimed_until bigint
);

CREATE INDEX triggers_next_tick ON triggers (next_tick) WHERE next_tick IS NOT NULL AND NOT paused;

-- What triggers were before they were changed or removed, until their queues and bindings are gone.
CREATE TABLE trigger_remains (
    id         uuid NOT NULL,
    name       text NOT NULL,
    origin     smallint NOT NULL,
    definition text NOT NULL,
    paused     boolean NOT NULL,
    revision   bigint NOT NULL,
    created_at bigint NOT NULL,
    next_tick  bigint,
    since      bigint NOT NULL,
    PRIMARY KEY (id, revision)
);
