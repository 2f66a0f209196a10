//! The database: whether it keeps what it confirms, and has room for all engines.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Finding;
use crate::cli::outside::Outside;
use crate::config::Config;
use crate::ports::store::Store;

/// The oldest release that is tested.
const VERSION_MIN: u32 = 15;
/// A round trip above this is slow: each transition waits for a commit.
const SLOW: Duration = Duration::from_millis(20);
/// Clocks further apart than this make logs hard to read. Warren itself goes by the database's.
const OFFSET_MAX: Duration = Duration::from_secs(5);
/// A transaction open for longer keeps old versions of rows alive.
const TRANSACTION_SECONDS_MAX: u64 = 60;

/// Settings and facts by name.
type Report = BTreeMap<String, String>;

/// Makes a finding of a check, of what was found, and of how it is mended.
type Verdict = fn(&'static str, String, String) -> Finding;

/// Looks at the database.
pub async fn examine(config: &Config, outside: &Outside) -> Vec<Finding> {
    let store = outside.store();
    let mut findings = match reach(store.as_ref()).await {
        Ok(findings) => findings,
        Err(error) => {
            let mend = "start it, make the database (createdb), or set store.url (WARREN__STORE__URL)";
            return vec![Finding::failure("database", format!("{}: {error}", config.store.url), mend)];
        }
    };
    findings.push(tables(outside).await);
    match outside.report().await {
        Ok(report) => findings.extend(judge(&report.into_iter().collect(), config)),
        Err(error) => {
            let mend = "grant the user of store.url the right to read pg_stat_activity";
            findings.push(Finding::failure("database settings", error.to_string(), mend));
        }
    }
    findings
}

/// The way to the database, and its clock.
async fn reach(store: &dyn Store) -> Result<Vec<Finding>, crate::ports::store::Error> {
    // The first call makes the connection.
    store.now().await?;
    let began = Instant::now();
    let theirs = store.now().await?;
    let took = began.elapsed();
    let text = format!("answers in {:.1} ms", took.as_secs_f64() * 1e3);
    let answer = if took > SLOW {
        Finding::warning("database", text, "bring database and engines closer together")
    } else {
        Finding::well("database", text)
    };
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let theirs = Duration::from_millis(u64::try_from(theirs.milliseconds()).unwrap_or_default());
    let offset = ours.abs_diff(theirs);
    let text = format!("{:.1} s apart from this machine's", offset.as_secs_f64());
    let clock = if offset > OFFSET_MAX {
        Finding::warning("clock", text, "synchronise both (NTP); Warren goes by the database's")
    } else {
        Finding::well("clock", text)
    };
    Ok(vec![answer, clock])
}

async fn tables(outside: &Outside) -> Finding {
    match outside.migrations_pending().await {
        Ok(0) => Finding::well("tables", "up to date"),
        Ok(pending) => {
            let mend = "run `warren migrate`, or let `warren serve` do it (store.migrate_at_start)";
            Finding::warning("tables", format!("{pending} migrations behind"), mend)
        }
        Err(error) => Finding::failure("tables", error.to_string(), "grant the user its tables"),
    }
}

fn judge(report: &Report, config: &Config) -> Vec<Finding> {
    let mut findings = vec![version(report)];
    for (name, off, why) in [
        ("fsync", Finding::failure as Verdict, "without it a crash of the machine loses what was confirmed"),
        ("full_page_writes", Finding::failure, "without it a crash of the machine may ruin pages"),
        ("synchronous_commit", Finding::failure, "without it a crash loses what was confirmed"),
        ("autovacuum", Finding::warning, "without it the hot tables grow without end"),
    ] {
        findings.extend(report.get(name).map(|value| switch(name, value, off, why)));
    }
    findings.push(standby(report));
    findings.extend(connections(report, config));
    findings.extend(transactions(report));
    findings.extend(partitions(report));
    findings.extend(report.get("in_recovery").filter(|value| *value == "true").map(|_| {
        Finding::failure(
            "database role",
            "it is a standby, which cannot write",
            "set store.url to the primary",
        )
    }));
    findings
}

fn version(report: &Report) -> Finding {
    let version = report.get("server_version").map_or("unknown", String::as_str);
    let major = version.split(['.', ' ']).next().and_then(|major| major.parse::<u32>().ok());
    let text = format!("PostgreSQL {version}");
    match major {
        Some(major) if major >= VERSION_MIN => Finding::well("database release", text),
        _ => Finding::warning("database release", text, format!("use PostgreSQL {VERSION_MIN} or later")),
    }
}

/// A setting that is to be on; `off` says how bad it is if it is not.
fn switch(name: &str, value: &str, off: Verdict, why: &str) -> Finding {
    let check = "database settings";
    let text = format!("{name} is {value}");
    match value {
        "off" => off(check, text, format!("turn {name} on: {why}")),
        "local" => Finding::warning(check, text, format!("set {name} to on: standbys are not waited for")),
        _ => Finding::well(check, text),
    }
}

fn standby(report: &Report) -> Finding {
    match report.get("synchronous_standby_names").map_or("", String::as_str) {
        "" => Finding::warning(
            "standby",
            "no synchronous standby: a fail-over may forget what was committed last",
            "set synchronous_standby_names, or accept that a lost server is restored from a backup",
        ),
        names => Finding::well("standby", format!("synchronous: {names}")),
    }
}

fn connections(report: &Report, config: &Config) -> Option<Finding> {
    let number = |name: &str| report.get(name).and_then(|value| value.parse::<u64>().ok());
    let (max, used) = (number("max_connections")?, number("connections")?);
    let ours =
        u64::from(config.store.commit_connections.get()) + u64::from(config.store.read_connections.get());
    let text = format!("{used} of {max} in use, a process takes up to {ours}");
    let mend = "raise max_connections, lower store.*_connections, or put a pooler in between";
    Some(if used + ours > max {
        Finding::failure("connections", text, mend)
    } else if used + 2 * ours > max {
        Finding::warning("connections", format!("{text}: there is room for one more"), mend)
    } else {
        Finding::well("connections", text)
    })
}

fn transactions(report: &Report) -> Option<Finding> {
    let seconds = report.get("longest_transaction_seconds")?.parse::<u64>().ok()?;
    let text = format!("the longest is open for {seconds} s");
    Some(if seconds > TRANSACTION_SECONDS_MAX {
        let mend = "find it in pg_stat_activity and end it; dump from a standby";
        Finding::warning("transactions", text, mend)
    } else {
        Finding::well("transactions", text)
    })
}

fn partitions(report: &Report) -> Option<Finding> {
    let ahead = report.get("partitions_ahead")?.parse::<u64>().ok()?;
    let text = format!("{ahead} made ahead");
    Some(if ahead == 0 {
        let mend = "run a process with the role engine, or `warren migrate`: both make them";
        Finding::warning("partitions", text, mend)
    } else {
        Finding::well("partitions", text)
    })
}

#[cfg(test)]
mod tests {
    use super::{Config, judge};
    use crate::cli::doctor::Verdict;

    fn check(settings: &[(&str, &str)], check: &str, verdict: Verdict) {
        let report = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let findings = judge(&report, &Config::default());
        let found = findings.iter().find(|finding| finding.check == check && finding.verdict == verdict);
        assert!(found.is_some(), "{settings:?}: {findings:?}");
    }

    #[test]
    fn a_database_that_forgets_fails() {
        check(&[("fsync", "off")], "database settings", Verdict::Failure);
        check(&[("synchronous_commit", "local")], "database settings", Verdict::Warning);
        check(&[("autovacuum", "off")], "database settings", Verdict::Warning);
        check(&[("synchronous_commit", "on")], "database settings", Verdict::Well);
        check(&[("in_recovery", "true")], "database role", Verdict::Failure);
        check(&[("synchronous_standby_names", "")], "standby", Verdict::Warning);
        check(&[("server_version", "14.2 (Debian)")], "database release", Verdict::Warning);
        check(&[("server_version", "15.20")], "database release", Verdict::Well);
    }

    #[test]
    fn there_must_be_room_for_connections() {
        let room = |used| [("max_connections", "100"), ("connections", used)];
        check(&room("95"), "connections", Verdict::Failure);
        check(&room("85"), "connections", Verdict::Warning);
        check(&room("10"), "connections", Verdict::Well);
    }

    #[test]
    fn what_holds_up_the_clean_up_is_told() {
        check(&[("longest_transaction_seconds", "61")], "transactions", Verdict::Warning);
        check(&[("longest_transaction_seconds", "2")], "transactions", Verdict::Well);
        check(&[("partitions_ahead", "0")], "partitions", Verdict::Warning);
        check(&[("partitions_ahead", "2")], "partitions", Verdict::Well);
    }
}
