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
            "a secret is stored with the file's text"
        );
    }
    let checked = match file.check(&HashMap::new()) {
        Ok((checked, made_up)) => {
            assert!(!made_up);
            checked
        }
        Err(Error::Invalid(errors)) => {
            assert!(!errors.is_empty(), "rejected, but no reason is given");
            reveals_no_secret(&errors);
            return false;
        }
        Err(other) => panic!("import failed: {other}"),
    };
    reveals_no_secret(&checked.warnings);
    reveals_no_secret(&checked.hints);
    let config = checked.config;
    match read(&config.to_stored_value(), None) {
        Ok(ParsedConfig { config: again, .. }) => {
            assert_eq!(
                again, config,
                "the configuration changes when saved and read back"
            )
        }
        Err(found) => panic!("a configuration that was accepted is now rejected: {found:?}"),
    }
    let secret = config.authority_secret_key.reveal();
    for version in ClientVersion::KNOWN {
        if lacking(&config, &version).is_empty() {
            let file = render(&config, &version).expect("a supported client version has a file");
            let masked = render_masked(&config, &version)
                .expect("a supported client version has a masked file");
            assert!(
                file.contains(secret) && !masked.contains(secret),
                "only the unmasked file contains the secret"
            );
            import(&file).expect("the file for a client can be imported");
        }
    }
    for source in [None, words.as_deref()] {
        assert!(
            !export(&config, source).contains(secret),
            "the export contains the secret"
        );
        let again = import(&export_whole(&config, source)).expect("an export can be imported");
        assert_eq!(
            again.config,
            without_chain(config.clone()),
            "the configuration changes when exported and imported"
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
            assert_eq!(
                &without_secret_keys(text),
                text,
                "a message contains a secret"
            );
        }
    }
}

#[cfg(test)]
mod tests;
