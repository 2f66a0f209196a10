//! `warren doctor`: is the broker, and is the database, as Warren needs them?
//!
//! Everything is looked at over the same ways that `warren serve` uses, so what the doctor can do, it can.
//! What is not visible there is asked of the broker's management API, if its address is configured. Nothing is
//! left behind but what a server makes as well.

use clap::Args;
use serde_json::{Value, json};

use super::output::{Output, Tone};
use super::outside::Outside;
use super::{Error, Exit};
use crate::config::Config;

mod broker;
mod database;
mod management;

/// What `warren doctor` is told.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print `[{check, verdict, finding, mend}]` instead.
    #[arg(long)]
    json: bool,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Well,
    /// It works, but not as well or as safely as it could.
    Warning,
    /// It does not work, or loses what it promises to keep.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    check: &'static str,
    verdict: Verdict,
    finding: String,
    /// What to do about it; nothing where it stands well.
    mend: Option<String>,
}

impl Finding {
    fn well(check: &'static str, finding: impl Into<String>) -> Self {
        Finding { check, verdict: Verdict::Well, finding: finding.into(), mend: None }
    }

    fn warning(check: &'static str, finding: impl Into<String>, mend: impl Into<String>) -> Self {
        Finding { check, verdict: Verdict::Warning, finding: finding.into(), mend: Some(mend.into()) }
    }

    fn failure(check: &'static str, finding: impl Into<String>, mend: impl Into<String>) -> Self {
        Finding { check, verdict: Verdict::Failure, finding: finding.into(), mend: Some(mend.into()) }
    }

    fn show(&self, out: &mut Output) {
        let (tone, word) = match self.verdict {
            Verdict::Well => (Tone::Good, "ok  "),
            Verdict::Warning => (Tone::Warning, "warn"),
            Verdict::Failure => (Tone::Bad, "fail"),
        };
        out.line(format_args!("{}  {:<22} {}", out.paint(tone, word), self.check, self.finding));
        if let Some(mend) = &self.mend {
            out.line(format_args!("      {:<22} {}", "", out.paint(Tone::Quiet, mend)));
        }
    }

    fn to_json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Well => "ok",
            Verdict::Warning => "warn",
            Verdict::Failure => "fail",
        };
        json!({ "check": self.check, "verdict": verdict, "finding": self.finding, "mend": self.mend })
    }
}

/// Looks at everything. It fails if something does.
pub async fn run(config: Config, args: &DoctorArgs, out: &mut Output) -> Result<Exit, Error> {
    let outside = Outside::open(&config, "doctor")?;
    let mut findings = broker::examine(&config, &outside).await;
    findings.extend(management::examine(&config).await);
    findings.extend(database::examine(&config, &outside).await);
    outside.close().await;
    if args.json {
        let findings: Vec<Value> = findings.iter().map(Finding::to_json).collect();
        out.line(format_args!("{:#}", Value::from(findings)));
    } else {
        findings.iter().for_each(|finding| finding.show(out));
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failure);
    Ok(if failed { Exit::Failed } else { Exit::Well })
}
