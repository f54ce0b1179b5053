//! A field of a form as a page shows it, for channels and rules alike.

use crate::base::error::FieldError;

/// What a field is filled in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldInput {
    /// A line of text.
    Text,
    /// A whole number.
    Number,
    /// A line that is never shown again.
    Secret,
    /// A time of the day.
    Time,
    /// One of several.
    Choice,
}

/// A field.
#[derive(Clone, Debug)]
pub struct AlertFormField {
    /// Its name in the form, and its id on the page.
    pub name: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// What belongs there.
    pub help: &'static str,
    /// What stands there.
    pub value: String,
    /// How it is filled in.
    pub input: FieldInput,
    /// What there is to choose from: value and words.
    pub options: Vec<(String, String)>,
    /// What stands greyed in an empty field.
    pub hint: String,
    /// What is wrong with it.
    pub error: Option<String>,
}

impl AlertFormField {
    /// A line of text; other kinds are made from it.
    pub fn text(
        name: &'static str,
        label: &'static str,
        help: &'static str,
        value: String,
    ) -> Self {
        Self {
            name,
            label,
            help,
            value,
            input: FieldInput::Text,
            options: Vec::new(),
            hint: String::new(),
            error: None,
        }
    }

    /// The value of the attribute `type`.
    pub fn kind(&self) -> &'static str {
        match self.input {
            FieldInput::Secret => "password",
            FieldInput::Time => "time",
            _ => "text",
        }
    }

    /// The value of the attribute `inputmode`.
    pub fn mode(&self) -> &'static str {
        if self.input == FieldInput::Number {
            "numeric"
        } else {
            "text"
        }
    }

    /// One has to be chosen.
    pub fn is_choice(&self) -> bool {
        self.input == FieldInput::Choice
    }

    /// The cursor helper that a browser may offer: never old passwords.
    pub fn completes(&self) -> &'static str {
        if self.input == FieldInput::Secret {
            "new-password"
        } else {
            "off"
        }
    }
}

/// What is wrong with the field of this name.
pub fn error_of(errors: &[FieldError], name: &str) -> Option<String> {
    errors
        .iter()
        .find(|error| error.pointer.strip_prefix('/') == Some(name))
        .map(|error| error.page_text().into_owned())
}

/// A minute of the day as time fields have it: `07:05`.
pub fn time(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
