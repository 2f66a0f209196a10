//! Tokens of tasks and of pages of lists: neither can be made by anybody else.
//!
//! A task's token names one attempt of one task. It is `base64url(version · execution · task · branch · MAC)`, the MAC being the first 16 bytes of
//! an HMAC-SHA-256 under the deployment's key. Whether the attempt is still open is not in the token: the
//! branch row says it. A page's token is `base64url(MAC · place)`, and the MAC knows the list too.

use asl::branch::BranchPath;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::ids::ExecutionId;
use crate::ports::store::BranchKey;

const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;
/// Version, execution id and task, before the branch path.
const HEAD_BYTES: usize = 1 + 16 + 4;

/// Issues and reads tokens.
pub struct Tokens {
    key: [u8; 32],
}

/// The attempt that a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskKey {
    /// The branch that scheduled it.
    pub branch: BranchKey,
    /// The `seq` that scheduled it.
    pub task: u32,
}

impl Tokens {
    /// With the deployment's key: tokens outlive a restart if the key does.
    pub fn new(key: [u8; 32]) -> Self {
        Tokens { key }
    }

    /// The token of an attempt.
    pub fn issue(&self, task: &TaskKey) -> String {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 8 + MAC_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(task.branch.execution.0.as_bytes());
        bytes.extend_from_slice(&task.task.to_be_bytes());
        bytes.extend_from_slice(task.branch.branch.as_str().as_bytes());
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The attempt that a token names; `None` if the token was not issued under this key.
    pub fn read(&self, token: &str) -> Option<TaskKey> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (named, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        self.mac(named).verify_truncated_left(mac).ok()?;
        let (head, path) = named.split_at_checked(HEAD_BYTES)?;
        if head[0] != VERSION {
            return None;
        }
        let execution = ExecutionId(Uuid::from_slice(&head[1..17]).ok()?);
        let task = u32::from_be_bytes(head[17..].try_into().ok()?);
        let branch: BranchPath = std::str::from_utf8(path).ok()?.parse().ok()?;
        Some(TaskKey { branch: BranchKey { execution, branch }, task })
    }

    /// A token for the page of a list that begins at this place.
    pub fn issue_page(&self, list: &str, place: &str) -> String {
        let mut bytes = self.page_mac(list, place).finalize().into_bytes()[..MAC_BYTES].to_vec();
        bytes.extend_from_slice(place.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that a token was issued for, in this list and under this key.
    pub fn read_page(&self, list: &str, token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (mac, place) = bytes.split_at_checked(MAC_BYTES)?;
        let place = std::str::from_utf8(place).ok()?;
        self.page_mac(list, place).verify_truncated_left(mac).ok()?;
        Some(place.to_owned())
    }

    /// Over more than a task's token ever is, so that none of one kind passes for one of the other.
    fn page_mac(&self, list: &str, place: &str) -> Hmac<Sha256> {
        let mut mac = self.mac(b"page");
        for part in [list, place] {
            mac.update(&[0]);
            mac.update(part.as_bytes());
        }
        mac
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length is valid");
        mac.update(bytes);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> TaskKey {
        let branch = BranchKey { execution: ExecutionId::new(), branch: BranchPath::root().child(5, 17) };
        TaskKey { branch, task: 3 }
    }

    #[test]
    fn a_token_names_its_attempt_under_its_key_alone() {
        let (task, tokens) = (task(), Tokens::new([7; 32]));
        let token = tokens.issue(&task);
        assert_eq!(tokens.read(&token), Some(task));
        assert_eq!(Tokens::new([8; 32]).read(&token), None);
    }

    #[test]
    fn a_page_is_that_of_its_list_under_its_key_alone() {
        let tokens = Tokens::new([7; 32]);
        let token = tokens.issue_page("machines", "42|ä");
        assert_eq!(tokens.read_page("machines", &token).as_deref(), Some("42|ä"));
        assert_eq!(tokens.read_page("activities", &token), None);
        assert_eq!(Tokens::new([8; 32]).read_page("machines", &token), None);
        for garbage in ["", "x", "not a token", "%%%%", &"A".repeat(1024)] {
            assert_eq!(tokens.read_page("machines", garbage), None);
        }
    }

    #[test]
    fn a_changed_token_is_refused() {
        let tokens = Tokens::new([7; 32]);
        let token = tokens.issue(&task());
        for place in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(tokens.read(&forged), None, "{forged}");
        }
        for garbage in ["", "x", "not a token", &"A".repeat(2048)] {
            assert_eq!(tokens.read(garbage), None);
        }
    }
}
