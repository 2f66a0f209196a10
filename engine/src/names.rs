//! Names of state machines, executions and activities: 1 to 80 characters, some of them forbidden, as they
//! stand in ARNs (Step Functions API reference).

use asl::limits::NAME_CHARACTERS_MAX;

/// A name that cannot be taken; says so in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid Name: '{0}'")]
pub struct InvalidName(pub String);

/// Checks a name.
pub fn check(name: &str) -> Result<(), InvalidName> {
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARACTERS_MAX || name.chars().any(is_forbidden) {
        return Err(InvalidName(name.to_owned()));
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
    fn a_name_has_1_to_80_characters() {
        assert!(check("").is_err() && check(&"é".repeat(80)).is_ok() && check(&"é".repeat(81)).is_err());
    }

    #[test]
    fn forbidden_characters_are_refused_with_the_name() {
        let forbidden = "<>{}[]?*\"#%\\^|~`$&,;:/ \t\n\u{0}\u{1f}\u{7f}\u{9f}\u{a0}\u{fffe}\u{ffff}";
        for character in forbidden.chars() {
            let name = format!("a{character}b");
            assert_eq!(check(&name), Err(InvalidName(name)));
        }
    }
}
