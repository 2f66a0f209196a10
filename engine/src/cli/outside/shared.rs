//! What all processes of a deployment share, kept in the database by whoever came first.

use crate::cli::composition::random_key;
use crate::config::Config;
use crate::ports::store::{Error, Store};

/// The setting that holds the width of the families of queues, in decimal digits.
const QUEUES: &str = "queues";
/// The setting that holds the key of task tokens.
const TOKEN_KEY: &str = "task_token_key";

/// What is shared.
pub struct Shared {
    /// Signs task tokens.
    pub token_key: [u8; 32],
    /// The width of the families of queues.
    pub queues: u16,
}

impl Shared {
    /// Reads it; what nobody has said yet is as configured here.
    pub async fn read(config: &Config, store: &dyn Store) -> Result<Self, Error> {
        let token_key = match &config.tasks.token_key {
            Some(key) => key.0,
            None => read_key(store.setting(TOKEN_KEY, &random_key()).await?)?,
        };
        let wanted = config.broker.queues.get();
        let kept = store.setting(QUEUES, wanted.to_string().as_bytes()).await?;
        let queues = read_queues(&kept)?;
        if queues != wanted {
            tracing::info!(
                "the deployment's families of queues are {queues} wide, not {wanted} as configured"
            );
        }
        Ok(Shared { token_key, queues })
    }
}

fn read_key(kept: Vec<u8>) -> Result<[u8; 32], Error> {
    let wrong = |kept: Vec<u8>| Error::corrupt(format_args!("{TOKEN_KEY} has {} bytes, not 32", kept.len()));
    kept.try_into().map_err(wrong)
}

fn read_queues(kept: &[u8]) -> Result<u16, Error> {
    let number =
        std::str::from_utf8(kept).ok().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| Error::corrupt(format_args!("{QUEUES} is no number of queues")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_deployment_are_read_or_refused() {
        assert_eq!(read_queues(b"12").unwrap(), 12);
        for wrong in [&b""[..], b"0", b"-1", b"70000", b"\xff"] {
            assert!(read_queues(wrong).is_err());
        }
        assert_eq!(read_key(vec![1; 32]).unwrap(), [1; 32]);
        assert!(read_key(vec![1; 31]).is_err());
    }
}
