//! Names of state machines, executions and activities (asl.md §1).

use super::errors::ApiError;

/// Checks the characters of a name; its length is the model's matter.
pub fn check(name: &str) -> Result<(), ApiError> {
    if name.chars().any(is_forbidden) {
        return Err(ApiError::new("InvalidName", format!("Invalid Name: '{name}'")));
    }
    Ok(())
}

fn is_forbidden(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character, '\u{fffe}' | '\u{ffff}')
        || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_taken() {
        for name in ["a", "a.b-c_d", "état", "名前", "a+b=c@d!('e')"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn forbidden_characters_are_refused_with_the_name() {
        let forbidden = "<>{}[]?*\"#%\\^|~`$&,;:/ \t\n\u{0}\u{1f}\u{7f}\u{9f}\u{a0}\u{fffe}\u{ffff}";
        for character in forbidden.chars() {
            let name = format!("a{character}b");
            let expected = ApiError::new("InvalidName", format!("Invalid Name: '{name}'"));
            assert_eq!(check(&name), Err(expected));
        }
    }
}
