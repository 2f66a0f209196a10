//! Pages of lists: how long they are, and the token that leads to the next one.

use serde_json::{Map, Value};

use super::errors::ApiError;
use super::parameters::Parameters;
use crate::services::tokens::Tokens;

/// Items of a page where none or 0 is asked for.
const LIMIT_DEFAULT: u32 = 100;

/// One page of a list.
pub struct PageRequest<'a> {
    tokens: &'a Tokens,
    /// Names the list with all that selects its items: a token of one list opens no other.
    list: String,
    /// How many items.
    pub limit: u32,
    /// Where it begins; `None` at the start of the list.
    pub from: Option<String>,
}

impl<'a> PageRequest<'a> {
    /// Reads `maxResults` and `nextToken`. A token that was not made for this list is an `InvalidToken`.
    pub fn read(
        tokens: &'a Tokens,
        list: impl Into<String>,
        parameters: &Parameters,
    ) -> Result<Self, ApiError> {
        let list = list.into();
        let limit = match parameters.whole("maxResults").and_then(|limit| u32::try_from(limit).ok()) {
            None | Some(0) => LIMIT_DEFAULT,
            Some(limit) => limit,
        };
        let from = match parameters.text("nextToken") {
            Some(token) => Some(tokens.read_page(&list, token).ok_or_else(ApiError::invalid_token)?),
            None => None,
        };
        Ok(PageRequest { tokens, list, limit, from })
    }

    /// The answer: the items under their name, and the token if the list goes on.
    pub fn answer(&self, name: &str, items: Vec<Value>, next: Option<&str>) -> Value {
        let mut answer = Map::new();
        answer.insert(name.into(), items.into());
        if let Some(next) = next {
            answer.insert("nextToken".into(), self.tokens.issue_page(&self.list, next).into());
        }
        Value::Object(answer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parameters::Action;
    use super::*;

    fn request<'a>(tokens: &'a Tokens, list: &str, members: Value) -> Result<PageRequest<'a>, ApiError> {
        let Value::Object(fields) = members else { panic!("a request is an object") };
        let action = Action::ListActivities;
        PageRequest::read(tokens, list, &Parameters::check(action.members(), fields).unwrap())
    }

    #[test]
    fn none_and_zero_ask_for_a_hundred() {
        let tokens = Tokens::new([7; 32]);
        for (members, limit) in
            [(json!({}), 100), (json!({"maxResults": 0}), 100), (json!({"maxResults": 7}), 7)]
        {
            assert_eq!(request(&tokens, "l", members).unwrap().limit, limit);
        }
    }

    #[test]
    fn a_token_leads_on_in_its_own_list_only() {
        let tokens = Tokens::new([7; 32]);
        let first = request(&tokens, "l", json!({})).unwrap();
        assert_eq!(first.answer("items", Vec::new(), None), json!({"items": []}));
        let answer = first.answer("items", vec![json!(1)], Some("42|ä"));
        let token = answer["nextToken"].clone();
        assert_eq!(request(&tokens, "l", json!({"nextToken": token})).unwrap().from.as_deref(), Some("42|ä"));
        let other = request(&tokens, "other", json!({"nextToken": token})).err();
        assert_eq!(other, Some(ApiError::invalid_token()));
    }

    #[test]
    fn anything_else_is_no_token() {
        let tokens = Tokens::new([7; 32]);
        for token in ["x", "not a token", "AAAAAAAAAAAAAAAAAAAA", "%%%%"] {
            assert_eq!(
                request(&tokens, "l", json!({"nextToken": token})).err(),
                Some(ApiError::invalid_token())
            );
        }
    }
}
