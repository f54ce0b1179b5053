//! Rules for single values: text and numbers from JSON of any origin.
//!
//! Forms and old files write numbers as text, so both are accepted. This module does not know the
//! field; the error is the sentence beside the field.

use serde_json::Value;

/// The default maximum length of a text in bytes. No field of the client needs more.
pub const LONGEST_TEXT: usize = 1024;

/// Text of at most `longest` bytes without control characters. A whole number becomes its digits,
/// as in the client.
pub fn text(value: &Value, longest: usize) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        other => return Err(format!("This must be text, not {}.", kind(other))),
    };
    if text.len() > longest {
        return Err(format!(
            "This is {} bytes long; at most {longest} are accepted.",
            text.len()
        ));
    }
    match text.chars().position(char::is_control) {
        Some(at) => Err(format!(
            "Character {} is a control character (line break, tab, NUL …). Remove it.",
            at + 1
        )),
        None => Ok(text),
    }
}

/// Text that is an address or a key, without the spaces, invisible characters and quotation marks
/// that are copied with it.
pub fn word(value: &Value, longest: usize) -> Result<String, String> {
    match value {
        Value::String(text) => self::text(&bare(text).into(), longest),
        other => text(other, longest),
    }
}

/// Removes spaces, invisible characters and quotation marks around a text.
pub fn bare(text: &str) -> &str {
    const INVISIBLE: [char; 6] = [
        '\u{feff}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{2060}',
    ];
    const QUOTES: [char; 7] = [
        '"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}',
    ];
    text.trim_matches(|c: char| {
        c.is_whitespace() || c.is_control() || INVISIBLE.contains(&c) || QUOTES.contains(&c)
    })
}

/// A whole number from `least` to `most`.
pub fn whole(value: &Value, least: u64, most: u64) -> Result<u64, String> {
    let outside = |found: &dyn std::fmt::Display| {
        format!("{found} is out of range. Enter a whole number from {least} to {most}.")
    };
    let number = match value {
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(whole), _, _) => i128::from(whole),
            (None, Some(negative), _) => i128::from(negative),
            (None, None, Some(float)) if float.fract() == 0.0 && float.abs() < 1e15 => {
                float as i128
            }
            _ => {
                return Err(format!(
                    "{number} is not a whole number from {least} to {most}."
                ));
            }
        },
        Value::String(text) => {
            let trimmed = text.trim();
            let parsed = match trimmed.strip_prefix("0x") {
                Some(digits) => i128::from_str_radix(digits, 16),
                None => trimmed.parse(),
            };
            parsed.map_err(|_| {
                match trimmed.bytes().all(|b| b.is_ascii_digit()) && !trimmed.is_empty() {
                    true => outside(&shown(trimmed)),
                    false => format!(
                        "{} is not a whole number. Enter a whole number from {least} to {most}.",
                        shown(trimmed)
                    ),
                }
            })?
        }
        other => {
            return Err(format!(
                "This must be a whole number from {least} to {most}, not {}.",
                kind(other)
            ));
        }
    };
    u64::try_from(number)
        .ok()
        .filter(|n| (least..=most).contains(n))
        .ok_or_else(|| outside(&number))
}

/// A finite number above 0 that fits in a 32-bit float, as in the client.
pub fn above_zero(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::Number(number) => number
            .as_f64()
            .ok_or_else(|| format!("{number} is too large for the client."))?,
        Value::String(text) => text.trim().parse::<f64>().map_err(|_| {
            let comma = if text.contains(',') {
                " Use a decimal point, not a comma: 6.0."
            } else {
                ""
            };
            format!("{} is not a number.{comma}", shown(text.trim()))
        })?,
        other => {
            return Err(format!(
                "This must be a number above 0, such as 6.0, not {}.",
                kind(other)
            ));
        }
    };
    let held = number as f32;
    if held.is_finite() && held > 0.0 {
        Ok(number)
    } else {
        Err(format!(
            "{number} is not allowed. Enter a number above 0, such as 6.0."
        ))
    }
}

/// The first `most` characters of `text`, with an ellipsis for the rest.
pub fn clipped(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// `text` in quotation marks for a message, shortened to 60 characters and with invisible
/// characters escaped.
pub fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("“{}{dots}”", short.escape_debug())
}

/// The kind of a JSON value, for "not …".
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_are_taken_as_numbers_and_as_text() {
        for (value, number) in [
            (json!(7), 7),
            (json!("34254"), 34254),
            (json!(" 7 "), 7),
            (json!(7.0), 7),
            (json!("0x0002"), 2),
            (json!("+5"), 5),
            (json!(65535), 65535),
        ] {
            assert_eq!(whole(&value, 1, 65535), Ok(number), "{value}");
        }
        for value in [
            json!(0),
            json!(65536),
            json!(-1),
            json!("70000"),
            json!("99999999999999999999999999999999999999999"),
            json!("-3"),
        ] {
            assert!(
                whole(&value, 1, 65535)
                    .unwrap_err()
                    .contains("out of range. Enter a whole number from 1 to 65535"),
                "{value}"
            );
        }
        for value in [
            json!(1.5),
            json!("abc"),
            json!(""),
            json!(true),
            json!([1]),
            json!({}),
            json!(null),
            json!(1e300),
        ] {
            assert!(
                whole(&value, 1, 65535)
                    .unwrap_err()
                    .contains("whole number"),
                "{value}"
            );
        }
        assert_eq!(whole(&json!(u64::MAX), 0, u64::MAX), Ok(u64::MAX));
    }

    #[test]
    fn decimals_must_be_finite_and_above_zero_in_32_bits() {
        assert_eq!(above_zero(&json!("6.5")), Ok(6.5));
        assert_eq!(above_zero(&json!(6)), Ok(6.0));
        for value in [
            json!(0),
            json!(-1.0),
            json!("inf"),
            json!("NaN"),
            json!(1e-60),
            json!(1e60),
            json!("six"),
            json!([]),
        ] {
            assert!(above_zero(&value).is_err(), "{value}");
        }
        assert!(
            above_zero(&json!("6,0"))
                .unwrap_err()
                .contains("Use a decimal point, not a comma")
        );
    }

    #[test]
    fn text_has_no_control_characters_and_an_end() {
        assert_eq!(
            text(&json!("ümläut 🙂 \"'\\"), 99).as_deref(),
            Ok("ümläut 🙂 \"'\\")
        );
        assert_eq!(text(&json!(12345), 99).as_deref(), Ok("12345"));
        for bad in ["a\nb", "\0", "tab\t", "\u{7f}", "\u{85}", "\u{1b}[0m"] {
            assert!(
                text(&json!(bad), 99)
                    .unwrap_err()
                    .contains("control character"),
                "{bad:?}"
            );
        }
        assert!(text(&json!("ééé"), 5).unwrap_err().contains("6 bytes"));
        assert!(text(&json!(1.5), 5).unwrap_err().contains("not a number"));
    }

    #[test]
    fn a_word_comes_without_what_was_copied_along() {
        for copy in [
            "pool.barn.lan",
            " pool.barn.lan\r\n",
            "\u{feff}\tpool.barn.lan\u{200b}",
            "\u{a0}“pool.barn.lan” ",
            "'pool.barn.lan'",
        ] {
            assert_eq!(word(&json!(copy), 99).as_deref(), Ok("pool.barn.lan"));
        }
        assert!(
            word(&json!("pool\nbarn"), 99)
                .unwrap_err()
                .contains("control character")
        );
        assert_eq!(word(&json!(" \" "), 99).as_deref(), Ok(""));
    }

    #[test]
    fn quoted_text_is_short_and_visible() {
        assert_eq!(shown("a\u{7}b"), "“a\\u{7}b”");
        assert!(shown(&"x".repeat(1_000_000)).len() < 80);
    }
}
