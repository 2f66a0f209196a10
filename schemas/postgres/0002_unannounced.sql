-- Executions that closed without a delivery behind them, from their close until somebody has announced it. Few and
-- short-lived, and apart from their executions, which are not written a second time for it.
CREATE TABLE unannounced (
    execution uuid PRIMARY KEY,
    due       bigint NOT NULL -- when somebody else announces it
);

CREATE INDEX unannounced_due ON unannounced (due);
