//! Form fields of the channel and rule pages.

use crate::base::error::FieldError;

/// The input type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldInput {
    /// A line of text.
    Text,
    /// A whole number.
    Number,
    /// A line of text that is never shown again.
    Secret,
    /// A time of day.
    Time,
    /// A date and a time of day in the machine's time zone.
    LocalTime,
    /// One of several.
    Choice,
}

/// A field.
#[derive(Clone, Debug)]
pub struct AlertFormField {
    /// The name in the form and the id on the page.
    pub name: &'static str,
    /// The label.
    pub label: &'static str,
    /// The help text.
    pub help: &'static str,
    /// The current value.
    pub value: String,
    /// The input type.
    pub input: FieldInput,
    /// The options of a choice: value and text.
    pub options: Vec<(String, String)>,
    /// The hint in the empty field.
    pub hint: String,
    /// The error.
    pub error: Option<String>,
}

impl AlertFormField {
    /// A line of text. Other input types start from this.
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
            FieldInput::LocalTime => "datetime-local",
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

    /// Whether the field is a choice.
    pub fn is_choice(&self) -> bool {
        self.input == FieldInput::Choice
    }

    /// The value of the attribute `autocomplete`: never old passwords.
    pub fn completes(&self) -> &'static str {
        if self.input == FieldInput::Secret {
            "new-password"
        } else {
            "off"
        }
    }
}

/// The error of the field with this name and label.
pub fn error_of(errors: &[FieldError], name: &str, label: &str) -> Option<String> {
    errors
        .iter()
        .find(|error| error.pointer.strip_prefix('/') == Some(name))
        .map(|error| error.page_text_as(Some(label)).into_owned())
}

/// The text of an error, with the label of its field if it is one of these.
pub fn error_text(error: &FieldError, fields: &[AlertFormField]) -> String {
    let name = error.pointer.trim_start_matches('/');
    let label = fields
        .iter()
        .find(|field| field.name == name)
        .map(|field| field.label);
    error.page_text_as(label).into_owned()
}

/// A minute of the day in the format of time fields: `07:05`.
pub fn time(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
