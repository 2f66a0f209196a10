//! Starting and stopping executions: what a caller waits for.
