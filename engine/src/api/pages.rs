//! Pages of lists: how long they are, and the token that leads to the next one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::errors::ApiError;
use super::parameters::Parameters;

/// Items of a page where none or 0 is asked for.
const LIMIT_DEFAULT: u32 = 100;
/// Bytes of the checksum in a token.
const CHECKSUM_BYTES: usize = 8;

/// One page of a list.
pub struct PageRequest {
    /// Names the list with all that selects its items: a token of one list opens no other.
    list: String,
    /// How many items.
    pub limit: u32,
    /// Where it begins; `None` at the start of the list.
    pub from: Option<String>,
}

impl PageRequest {
    /// Reads `maxResults` and `nextToken`. A token that was not made for this list is an `InvalidToken`.
    pub fn read(list: impl Into<String>, parameters: &Parameters) -> Result<Self, ApiError> {
        let list = list.into();
        let limit = match parameters.whole("maxResults").and_then(|limit| u32::try_from(limit).ok()) {
            None | Some(0) => LIMIT_DEFAULT,
            Some(limit) => limit,
        };
        let from = match parameters.text("nextToken") {
            Some(token) => Some(open(&list, token).ok_or_else(ApiError::invalid_token)?),
            None => None,
        };
        Ok(PageRequest { list, limit, from })
    }

    /// The answer: the items under their name, and the token if the list goes on.
    pub fn answer(&self, name: &str, items: Vec<Value>, next: Option<&str>) -> Value {
        let mut answer = Map::new();
        answer.insert(name.into(), items.into());
        if let Some(next) = next {
            answer.insert("nextToken".into(), seal(&self.list, next).into());
        }
        Value::Object(answer)
    }
}

fn seal(list: &str, next: &str) -> String {
    let mut token = checksum(list, next).to_vec();
    token.extend_from_slice(next.as_bytes());
    URL_SAFE_NO_PAD.encode(token)
}

fn open(list: &str, token: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (sum, next) = bytes.split_at_checked(CHECKSUM_BYTES)?;
    let next = std::str::from_utf8(next).ok()?;
    (sum == checksum(list, next)).then(|| next.to_owned())
}

/// Guards against mistakes, not against forgers: a token gives nothing that the list does not.
fn checksum(list: &str, next: &str) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new().chain_update(list).chain_update([0]).chain_update(next).finalize();
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parameters::Action;
    use super::*;

    fn request(list: &str, members: Value) -> Result<PageRequest, ApiError> {
        let Value::Object(fields) = members else { panic!("a request is an object") };
        let action = Action::ListActivities;
        PageRequest::read(list, &Parameters::check(action.members(), fields).unwrap())
    }

    #[test]
    fn none_and_zero_ask_for_a_hundred() {
        for (members, limit) in
            [(json!({}), 100), (json!({"maxResults": 0}), 100), (json!({"maxResults": 7}), 7)]
        {
            assert_eq!(request("l", members).unwrap().limit, limit);
        }
    }

    #[test]
    fn a_token_leads_on_in_its_own_list_only() {
        let first = request("l", json!({})).unwrap();
        assert_eq!(first.answer("items", Vec::new(), None), json!({"items": []}));
        let answer = first.answer("items", vec![json!(1)], Some("42|ä"));
        let token = answer["nextToken"].clone();
        assert_eq!(request("l", json!({"nextToken": token})).unwrap().from.as_deref(), Some("42|ä"));
        let other = request("other", json!({"nextToken": token})).err();
        assert_eq!(other, Some(ApiError::invalid_token()));
    }

    #[test]
    fn anything_else_is_no_token() {
        for token in ["x", "not a token", "AAAAAAAAAAAAAAAAAAAA", "%%%%"] {
            assert_eq!(request("l", json!({"nextToken": token})).err(), Some(ApiError::invalid_token()));
        }
    }
}
