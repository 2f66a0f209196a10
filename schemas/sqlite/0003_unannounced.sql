-- Executions that closed without a delivery behind them, from their close until somebody has announced it.
CREATE TABLE unannounced (
    execution BLOB NOT NULL PRIMARY KEY,
    due       INTEGER NOT NULL -- when somebody else announces it
) WITHOUT ROWID;

CREATE INDEX unannounced_due ON unannounced (due);
