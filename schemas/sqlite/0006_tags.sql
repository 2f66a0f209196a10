-- Tags of state machines and activities.

CREATE TABLE tags (
    made  INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL, -- stateMachine:<id>, activity:<name>
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (owner, key)
);

-- Until now the revision kept the tags that its machine was made with. An id is written as a UUID is.
INSERT OR IGNORE INTO tags (owner, key, value)
SELECT 'stateMachine:' || substr(m.hex, 1, 8) || '-' || substr(m.hex, 9, 4) || '-' || substr(m.hex, 13, 4)
           || '-' || substr(m.hex, 17, 4) || '-' || substr(m.hex, 21),
       t.value ->> 'key', coalesce(t.value ->> 'value', '')
FROM (SELECT lower(hex(id)) AS hex, revision FROM machines) m
JOIN revisions r ON r.id = m.revision
JOIN json_each(r.settings, '$.tags') t;
