//! How many requests of each action a process takes.

use serde::Deserialize;

use crate::services::throttle::Bucket;

/// `[throttling]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Throttling {
    /// `aws_quotas`: whether requests are held to AWS's quotas, those of us-east-1; false.
    pub aws_quotas: bool,
    /// `requests`: for single actions, or with `*` for all others, how many may come at once and how many each second:
    /// `StartExecution=1300/300`; none.
    pub requests: Vec<Requests>,
}

/// The bucket of one action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Requests {
    /// Its name, or `*`.
    pub action: String,
    /// How many are taken.
    pub bucket: Bucket,
}

impl TryFrom<String> for Requests {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = || {
            let (action, bucket) = text.split_once('=')?;
            let (burst, per_second) = bucket.split_once('/')?;
            let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number > 0);
            let bucket = Bucket { burst: number(burst)?, per_second: number(per_second)? };
            Some(Requests { action: action.trim().to_owned(), bucket })
        };
        read().ok_or_else(|| {
            format!("'{text}' does not say how many requests are taken; write ACTION=BURST/PER_SECOND")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_burst_and_a_rate() {
        let read = |text: &str| Requests::try_from(text.to_owned());
        let expected =
            Requests { action: "StopExecution".to_owned(), bucket: Bucket { burst: 10, per_second: 2 } };
        assert_eq!(read("StopExecution=10/2"), Ok(expected.clone()));
        assert_eq!(read(" StopExecution = 10 / 2 "), Ok(expected));
        for wrong in
            ["", "StopExecution", "StopExecution=10", "StopExecution=0/1", "a=1/0", "a=b/c", "a=-1/1"]
        {
            assert!(read(wrong).is_err_and(|error| error.contains("BURST/PER_SECOND")), "{wrong}");
        }
    }
}
