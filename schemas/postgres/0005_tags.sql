-- Tags of state machines and activities.

CREATE TABLE tags (
    made  bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    owner text COLLATE "C" NOT NULL, -- stateMachine:<id>, activity:<name>
    key   text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (owner, key)
);

-- Until now the revision kept the tags that its machine was made with.
INSERT INTO tags (owner, key, value)
SELECT 'stateMachine:' || m.id, t.value ->> 'key', coalesce(t.value ->> 'value', '')
FROM machines m
JOIN revisions r ON r.id = m.revision
CROSS JOIN LATERAL json_array_elements(r.settings::json -> 'tags') AS t(value)
WHERE position('\u0000' IN r.settings) = 0
ON CONFLICT DO NOTHING;
