//! Properties that hold for every imported text, for `fuzz/` and for the tests, which try some
//! thousand texts.
//!
//! Import never panics, never quotes a secret and gives a reason for each rejection. An accepted
//! configuration obeys all rules, can be written for every client that can run it, and is the same
//! after export and import.

use std::collections::HashMap;

use super::import_source::ConfigImport;
use super::model::{ClientConfig, TemplateProvider};
use super::parse::{ParsedConfig, read};
use super::toml_file::{export, export_whole, import, lacking, render, render_masked, text_of};
use crate::base::error::{Error, FieldError};
use crate::domain::keys::without_secret_keys;
use crate::programs::jd_client::version::ClientVersion;

/// Imports a text and checks all properties. Returns whether the text was accepted.
///
/// # Panics
/// A property does not hold.
pub fn import_holds(text: &str) -> bool {
    let file = ConfigImport {
        name: Some("fuzzed".into()),
        toml: text.to_owned(),
        ..ConfigImport::default()
    };
    let words = text_of(text);
    if let Some(words) = &words {
        assert_eq!(
            &without_secret_keys(words),
            words,
            "a secret is kept with the words of a file"
        );
    }
    let checked = match file.check(&HashMap::new()) {
        Ok((checked, made_up)) => {
            assert!(!made_up);
            checked
        }
        Err(Error::Invalid(errors)) => {
            assert!(!errors.is_empty(), "refused without a reason");
            reveals_no_secret(&errors);
            return false;
        }
        Err(other) => panic!("an import fails with {other}"),
    };
    reveals_no_secret(&checked.warnings);
    reveals_no_secret(&checked.hints);
    let config = checked.config;
    match read(&config.to_stored_value(), None) {
        Ok(ParsedConfig { config: again, .. }) => {
            assert_eq!(again, config, "saved and read it is another")
        }
        Err(found) => panic!("what was taken is refused: {found:?}"),
    }
    let secret = config.authority_secret_key.reveal();
    for version in ClientVersion::KNOWN {
        if lacking(&config, &version).is_empty() {
            let file = render(&config, &version)
                .expect("a client that lacks nothing can be given its file");
            let masked = render_masked(&config, &version).expect("and the masked one");
            assert!(
                file.contains(secret) && !masked.contains(secret),
                "the secret is in the one file and not in the other"
            );
            import(&file).expect("the file for a client can be imported");
        }
    }
    for source in [None, words.as_deref()] {
        assert!(
            !export(&config, source).contains(secret),
            "an export shows the secret"
        );
        let again = import(&export_whole(&config, source)).expect("an export can be imported");
        assert_eq!(
            again.config,
            without_chain(config.clone()),
            "exported and imported it is another"
        );
    }
    true
}

/// A configuration without the values that are not part of files.
fn without_chain(mut config: ClientConfig) -> ClientConfig {
    if let TemplateProvider::Sv2Tp { network, .. } = &mut config.template_provider_type {
        *network = None;
    }
    config
}

fn reveals_no_secret(said: &[FieldError]) {
    for one in said {
        for text in [&one.pointer, &one.detail] {
            assert_eq!(&without_secret_keys(text), text, "a secret is quoted");
        }
    }
}

#[cfg(test)]
mod tests;
