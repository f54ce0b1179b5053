//! The tags of an instance: short words of the user that group instances. Pure.

use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{IsNull, Output, ToSql};
use diesel::sql_types::Text;
use diesel::sqlite::{Sqlite, SqliteValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::visible::has_hidden;

/// The longest tag in characters.
pub const LONGEST_TAG: usize = 32;
/// Maximum number of tags of an instance.
pub const MOST_TAGS: usize = 10;

/// Tags in the user's order, each once, ignoring case.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    JsonSchema,
    Serialize,
    Deserialize,
    AsExpression,
    FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub struct InstanceTags(Vec<String>);

impl InstanceTags {
    /// Tags as a user entered them. White space around each is ignored, and so are empty and
    /// repeated ones.
    ///
    /// # Errors
    /// The problem as a sentence.
    pub fn new<'a>(given: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut tags = Self::default();
        for tag in given {
            let tag = tag.split_whitespace().collect::<Vec<_>>().join(" ");
            if tag.is_empty() || tags.has(&tag) {
                continue;
            }
            check_tag(&tag)?;
            if tags.0.len() == MOST_TAGS {
                return Err(format!("An instance can have at most {MOST_TAGS} tags."));
            }
            tags.0.push(tag);
        }
        Ok(tags)
    }

    /// The tags of a form: separated by commas.
    ///
    /// # Errors
    /// The problem as a sentence.
    pub fn from_text(text: &str) -> Result<Self, String> {
        Self::new(text.split(','))
    }

    /// Whether a tag is among them, ignoring case.
    pub fn has(&self, tag: &str) -> bool {
        let wanted = tag.to_lowercase();
        self.0.iter().any(|own| own.to_lowercase() == wanted)
    }

    /// The tags.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same without `remove` and with `add`.
    ///
    /// # Errors
    /// The problem as a sentence.
    pub fn changed(&self, add: &Self, remove: &Self) -> Result<Self, String> {
        let kept = self.iter().filter(|tag| !remove.has(tag));
        Self::new(kept.chain(add.iter()))
    }

    /// As a form has them.
    pub fn text(&self) -> String {
        self.0.join(", ")
    }
}

/// Checks a tag without surrounding white space.
///
/// # Errors
/// The problem as a sentence.
pub fn check_tag(tag: &str) -> Result<(), String> {
    if tag.chars().count() > LONGEST_TAG {
        return Err(format!(
            "A tag can be at most {LONGEST_TAG} characters long."
        ));
    }
    let is_allowed = |c: char| !c.is_control() && c != ',';
    if tag.trim().is_empty() || !tag.chars().all(is_allowed) || has_hidden(tag) {
        return Err(
            "A tag cannot contain commas, control characters or invisible characters.".into(),
        );
    }
    Ok(())
}

impl FromSql<Text, Sqlite> for InstanceTags {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> diesel::deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        // Another program may have written anything; an instance must not be lost by its tags.
        Ok(Self(serde_json::from_str(&text).unwrap_or_default()))
    }
}

impl ToSql<Text, Sqlite> for InstanceTags {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> diesel::serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<String> {
        InstanceTags::from_text(text).unwrap().0
    }

    #[test]
    fn tags_are_separated_by_commas_and_listed_once() {
        assert_eq!(tags(" barn,rack   1 ,, Barn,"), ["barn", "rack 1"]);
        assert_eq!(tags(""), Vec::<String>::new());
        assert_eq!(tags("Ziegenstall, № 1"), ["Ziegenstall", "№ 1"]);
        let both = InstanceTags::from_text("Ärmel, barn").unwrap();
        assert!(both.has("ärmel") && both.has("BARN") && !both.has("bar"));
        assert_eq!(both.text(), "Ärmel, barn");
    }

    #[test]
    fn a_change_keeps_the_order_and_the_limit() {
        let of = |text: &str| InstanceTags::from_text(text).unwrap();
        let both = of("barn, rack 1");
        assert_eq!(
            both.changed(&of("Barn, attic"), &of("RACK 1")).unwrap().0,
            ["barn", "attic"]
        );
        assert_eq!(both.changed(&of("rack 1"), &of("")).unwrap(), both);
        assert!(both.changed(&of(""), &both).unwrap().is_empty());
        let many: Vec<String> = (0..MOST_TAGS).map(|number| number.to_string()).collect();
        let full = of(&many.join(","));
        assert!(full.changed(&of("attic"), &of("")).is_err());
        assert!(full.changed(&of("attic"), &of("0")).is_ok());
    }

    #[test]
    fn tags_are_few_short_and_visible() {
        let long = "x".repeat(LONGEST_TAG + 1);
        let many: Vec<String> = (0..=MOST_TAGS).map(|number| number.to_string()).collect();
        for bad in ["a\u{202e}b", "a\u{200b}", "a\u{0}b", &long, &many.join(",")] {
            assert!(InstanceTags::from_text(bad).is_err(), "{bad:?}");
        }
        assert!(InstanceTags::new(["a,b"]).is_err());
        assert_eq!(tags(&many[1..].join(",")).len(), MOST_TAGS);
        assert_eq!(tags(&long[1..]).len(), 1);
    }
}
