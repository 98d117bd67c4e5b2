//! What a password may be: NIST SP 800-63B §3.1.1.2. Long enough, not well known, and nothing else.

use unicode_normalization::UnicodeNormalization as _;

use super::email::Email;
use crate::crypto::Secret;

/// The fewest characters of a new password.
pub const SHORTEST: usize = 8;
/// The most characters of any password. Longer ones are refused, never cut.
pub const LONGEST: usize = 128;
/// The most bytes that are looked at: no 128 characters take more, composed or not.
const LONGEST_BYTES: usize = 4096;

/// The passwords that guessers try first, in lower case, sorted.
const COMMON: &str = include_str!("common_passwords.txt");

/// Why a new password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// Fewer than eight characters.
    #[error("a password has at least {SHORTEST} characters")]
    TooShort,
    /// More than 128 characters.
    #[error("a password has at most {LONGEST} characters")]
    TooLong,
    /// One of those that guessers try first.
    #[error("this password is one of the first that anybody guesses")]
    TooCommon,
    /// The e-mail address or the name, or a part of the address.
    #[error("a password is not the e-mail address or the name")]
    Personal,
}

/// A password as somebody typed it, in one form of Unicode (NFC), so that it does not matter on which keyboard.
#[derive(Clone, Debug)]
pub struct Password(Secret<String>);

impl Password {
    /// Takes a password in. `None`: it is longer than any password may be.
    #[must_use]
    pub fn typed(text: &str) -> Option<Self> {
        if text.len() > LONGEST_BYTES {
            return None;
        }
        let password = Self(Secret::new(text.nfc().collect()));
        (password.characters() <= LONGEST).then_some(password)
    }

    /// One that no hash is of: what is judged in the place of one that is too long.
    pub(super) const fn impossible() -> Self {
        Self(Secret::new(String::new()))
    }

    /// The bytes that are hashed.
    #[must_use]
    pub const fn expose(&self) -> &Secret<String> {
        &self.0
    }

    fn characters(&self) -> usize {
        self.0.expose().chars().count()
    }

    /// Takes a new password in, judged for the user who will have it.
    ///
    /// # Errors
    /// [`PasswordRefused`].
    pub fn chosen(text: &str, email: &Email, name: &str) -> Result<Self, PasswordRefused> {
        let password = Self::typed(text).ok_or(PasswordRefused::TooLong)?;
        if password.characters() < SHORTEST {
            return Err(PasswordRefused::TooShort);
        }
        let lower = Secret::new(password.0.expose().to_lowercase());
        let lower = lower.expose().trim();
        if COMMON.lines().any(|common| common == lower) || is_one_character(lower) {
            return Err(PasswordRefused::TooCommon);
        }
        let name: String = name.nfc().collect::<String>().to_lowercase();
        let (local, domain) = email.as_str().split_once('@').unwrap_or_default();
        let joined: String = name.split_whitespace().collect();
        if [email.as_str(), local, domain, name.trim(), &joined].contains(&lower) {
            return Err(PasswordRefused::Personal);
        }
        Ok(password)
    }
}

fn is_one_character(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_none_or(|first| characters.all(|other| other == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Result<(), PasswordRefused> {
        let email = Email::parse("ann.smith@example.org").unwrap();
        Password::chosen(text, &email, "Ann-Marie Smith").map(drop)
    }

    #[test]
    fn length_counts_characters_and_nothing_is_cut() {
        assert_eq!(chosen("abcdefg"), Err(PasswordRefused::TooShort));
        assert_eq!(chosen("éèàüöäç"), Err(PasswordRefused::TooShort));
        assert_eq!(chosen("e\u{301}".repeat(7).as_str()), Err(PasswordRefused::TooShort));
        assert_eq!(chosen("abcdefgk"), Ok(()));
        assert_eq!(chosen("日本語のパスワ一"), Ok(()));
        assert_eq!(chosen(&"ab".repeat(64)), Ok(()));
        assert_eq!(chosen(&"ab".repeat(65)), Err(PasswordRefused::TooLong));
        assert_eq!(chosen(&"🦀🐢".repeat(64)), Ok(()));
        assert!(Password::typed(&"a".repeat(129)).is_none());
        assert!(Password::typed(&"a".repeat(1 << 20)).is_none());
    }

    #[test]
    fn nothing_is_asked_of_its_composition() {
        for password in ["correct horse battery staple", "ooooooops", "73829104", " ab cd ef "] {
            assert_eq!(chosen(password), Ok(()), "{password}");
        }
    }

    #[test]
    fn what_anybody_guesses_is_refused_in_any_case() {
        for password in
            ["password", "PassWord1", "12345678", "qwertyuiop", " iloveyou ", "wwwwwwwwwwww", "        "]
        {
            assert_eq!(chosen(password), Err(PasswordRefused::TooCommon), "{password}");
        }
        for password in
            ["Ann.Smith@example.org", "ann.smith", "EXAMPLE.ORG", "ann-marie smith", "Ann-MarieSmith"]
        {
            assert_eq!(chosen(password), Err(PasswordRefused::Personal), "{password}");
        }
    }

    #[test]
    fn one_password_has_one_form_and_does_not_print() {
        let bytes = |text: &str| Password::typed(text).unwrap().expose().expose().clone();
        assert_eq!(bytes("cafe\u{301}-noir"), bytes("café-noir"));
        assert_eq!(bytes(" a "), " a ", "spaces are characters");
        assert_eq!(format!("{:?}", Password::typed("hunter22hunter")), "Some(Password([redacted]))");
    }

    #[test]
    fn the_list_is_sorted_lower_case_and_long_enough_to_matter() {
        let lines: Vec<_> = COMMON.lines().collect();
        assert!(lines.is_sorted());
        assert!(lines.iter().all(|line| line.len() >= SHORTEST && *line == line.to_lowercase()));
    }
}
