//! `{"wildcard": "dir/*.png"}`.

/// A text with gaps. `*` is any run of characters, also none; `\*` is a star and `\\` a backslash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wildcard {
    /// What stands between the stars; one more than there are stars.
    pieces: Vec<String>,
}

impl Wildcard {
    /// Reads a pattern. Places in the reasons count bytes of the quoted text, as AWS counts them.
    pub(super) fn parse(text: &str) -> Result<Wildcard, String> {
        let mut pieces = vec![String::new()];
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            let literal = match (character, next) {
                ('*', Some('*')) => return Err(format!("Consecutive wildcard characters at pos {}", at + 1)),
                ('*', _) => {
                    pieces.push(String::new());
                    continue;
                }
                ('\\', Some(escaped @ ('*' | '\\'))) => {
                    characters.next();
                    escaped
                }
                ('\\', _) => return Err(format!("Invalid escape character at pos {}", at + 1)),
                _ => character,
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(literal);
            }
        }
        Ok(Wildcard { pieces })
    }

    /// Whether all of the text fits. Each piece is taken where it first occurs behind the one before, which
    /// leaves most room for the rest; so the text is read once.
    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &self.pieces[..] else {
            return self.pieces.first().is_some_and(|only| only == text);
        };
        let rest = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()));
        let Some(mut rest) = rest else { return false };
        for piece in middle {
            match rest.find(piece.as_str()) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        let cases: [(&str, &[&str], &[&str]); 12] = [
            ("*", &["", "a", "*"], &[]),
            ("", &[""], &["a"]),
            ("a", &["a"], &["", "aa", "A"]),
            ("a*", &["a", "ab", "a\nb"], &["", "ba"]),
            ("*a", &["a", "ba"], &["ab"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("dir/*.png", &["dir/.png", "dir/x/y.png"], &["dir/x.png.", "dir.png"]),
            ("*b*", &["b", "abc"], &["ac"]),
            ("a*b*c", &["abc", "a-b-b-c"], &["acb", "ac"]),
            (r"a\*b", &["a*b"], &["ab", "axb", r"a\*b"]),
            (r"a\\*b", &[r"a\b", r"a\xb"], &["ab", "a*b"]),
            ("é*ü", &["éü", "é☃ü"], &["é", "eu"]),
        ];
        for (pattern, fitting, others) in cases {
            let wildcard = Wildcard::parse(pattern).unwrap();
            for text in fitting {
                assert!(wildcard.matches(text), "{text} fits {pattern}");
            }
            for text in others {
                assert!(!wildcard.matches(text), "{text} does not fit {pattern}");
            }
        }
    }

    #[test]
    fn bad_stars_and_escapes_are_told_with_their_place() {
        let cases = [
            ("**", "Consecutive wildcard characters at pos 1"),
            ("ab**", "Consecutive wildcard characters at pos 3"),
            ("é**", "Consecutive wildcard characters at pos 3"),
            (r"a\b", "Invalid escape character at pos 2"),
            (r"a\", "Invalid escape character at pos 2"),
        ];
        for (pattern, told) in cases {
            assert_eq!(Wildcard::parse(pattern), Err(told.to_owned()), "{pattern}");
        }
        assert!(Wildcard::parse(r"*\**").is_ok());
    }

    /// By trying every way; `None` stands for a star.
    fn naive(pattern: &[Option<char>], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [None, rest @ ..] => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            [Some(literal), rest @ ..] => text.first() == Some(literal) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_trying_every_way_matches(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assume!(!pattern.contains("**"));
            let letters: Vec<_> = pattern.chars().map(|letter| (letter != '*').then_some(letter)).collect();
            let expected = naive(&letters, &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Wildcard::parse(&pattern).unwrap().matches(&text), expected);
        }

        #[test]
        fn no_text_makes_it_panic(pattern in ".*", text in ".*") {
            if let Ok(wildcard) = Wildcard::parse(&pattern) {
                wildcard.matches(&text);
            }
        }
    }

    #[test]
    fn it_takes_no_time_on_what_makes_backtracking_explode() {
        let wildcard = Wildcard::parse(&format!("{}b", "a*".repeat(1_000))).unwrap();
        assert!(!wildcard.matches(&"a".repeat(1_000_000)));
    }
}
