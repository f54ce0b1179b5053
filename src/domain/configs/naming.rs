//! Rules for names and descriptions, and free names. Independent of storage: callers check whether
//! a name is in use.

use crate::base::visible::has_hidden;

/// The longest name in characters.
pub const LONGEST_NAME: usize = 64;
/// The longest description in characters.
pub const LONGEST_DESCRIPTION: usize = 1000;

/// Checks a name.
///
/// # Errors
/// The problem as a sentence.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("Enter a name.".into());
    }
    if name.chars().count() > LONGEST_NAME {
        return Err(format!(
            "A name can be at most {LONGEST_NAME} characters long."
        ));
    }
    if name.chars().any(char::is_control) || has_hidden(name) {
        return Err("A name cannot contain control characters or invisible characters.".into());
    }
    Ok(())
}

/// Checks a description, which can have several lines.
///
/// # Errors
/// The problem as a sentence.
pub fn check_description(text: &str) -> Result<(), String> {
    if text.chars().count() > LONGEST_DESCRIPTION {
        return Err(format!(
            "A description can be at most {LONGEST_DESCRIPTION} characters long."
        ));
    }
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || has_hidden(text)
    {
        return Err("A description cannot contain invisible characters, or control characters other than line breaks.".into());
    }
    Ok(())
}

/// `wanted`, or the first free name of `wanted 2`, `wanted 3`, …, shortened if it is too long.
///
/// # Errors
/// Those of `is_taken`.
pub fn free_name<E>(
    wanted: &str,
    mut is_taken: impl FnMut(&str) -> Result<bool, E>,
) -> Result<String, E> {
    let mut number = 1_u64;
    loop {
        let end = if number == 1 {
            String::new()
        } else {
            format!(" {number}")
        };
        let kept: String = wanted
            .chars()
            .take(LONGEST_NAME - end.chars().count())
            .collect();
        let name = format!("{}{end}", kept.trim_end());
        if !is_taken(&name)? {
            return Ok(name);
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_visible_and_run_one_way() {
        for good in ["home pool", "Ziegenstall", "пул № 1", &"x".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "  ",
            "a\nb",
            "a\u{0}",
            "a\u{202e}b",
            "a\u{200f}",
            "a\u{200b}b",
            "a\u{ad}b",
            &"x".repeat(65),
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn descriptions_may_have_lines() {
        assert_eq!(check_description("two\r\nlines\tand a tab"), Ok(()));
        assert_eq!(check_description(""), Ok(()));
        assert!(check_description("\u{1b}[31m").is_err());
        assert!(check_description(&"x".repeat(1001)).is_err());
    }

    #[test]
    fn a_taken_name_gets_a_number_and_stays_short() {
        let free = |wanted: &str, taken: &[&str]| {
            free_name(wanted, |name| Ok::<_, ()>(taken.contains(&name))).unwrap()
        };
        assert_eq!(free("barn copy", &[]), "barn copy");
        assert_eq!(
            free("barn copy", &["barn copy", "barn copy 2"]),
            "barn copy 3"
        );
        let long = "x".repeat(70);
        let first = free(&long, &[]);
        assert_eq!(first.len(), 64);
        assert_eq!(free(&long, &[&first]), format!("{} 2", "x".repeat(62)));
        assert_eq!(free_name("x", |_| Err("locked")), Err("locked"));
    }
}
