//! Values of published example configurations, from `data/examples.toml`. Users copy an example,
//! forget to replace a value and then mine for someone else. `scripts/examples` writes the list;
//! each value names its source. This module has no rules about configurations.

use serde::Deserialize;
use std::sync::LazyLock;

/// The kind of an example value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExampleKind {
    /// A payout descriptor.
    Payout,
    /// A payout in the older form: the output type, a space, and its key or script.
    Output,
    /// The public key of a pair whose secret key is also published.
    Key,
    /// An account at a pool.
    Identity,
    /// A coinbase tag.
    Signature,
    /// `host:port` of a pool or of its job declaration server.
    Pool,
    /// `host:port` of a template provider.
    Provider,
}

/// An example value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleValue {
    /// Its kind.
    pub kind: ExampleKind,
    /// The value as published.
    pub value: String,
    /// Where it was published.
    pub source: String,
}

impl ExampleValue {
    /// The program and its versions, without the file name.
    pub fn origin(&self) -> &str {
        self.source.split(',').next().unwrap_or_default()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleFile {
    example: Vec<ExampleValue>,
}

static EXAMPLES: LazyLock<Vec<ExampleValue>> = LazyLock::new(|| {
    let file: ExampleFile = toml::from_str(include_str!("../../../data/examples.toml"))
        .expect("a test checks the list of examples");
    file.example
});

/// All example values of a kind.
pub fn examples(kind: ExampleKind) -> impl Iterator<Item = &'static ExampleValue> {
    EXAMPLES.iter().filter(move |one| one.kind == kind)
}

/// The example with exactly this value, ignoring case.
pub fn example(kind: ExampleKind, value: &str) -> Option<&'static ExampleValue> {
    examples(kind).find(|one| one.value.eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_each_value_once_with_its_source() {
        for (at, one) in EXAMPLES.iter().enumerate() {
            assert!(!one.value.trim().is_empty(), "{one:?}");
            let mut before = EXAMPLES[..at].iter();
            assert!(
                before.all(|other| (other.kind, &other.value) != (one.kind, &one.value)),
                "{one:?} is there twice"
            );
            assert!(
                one.source.contains(' ') && !one.origin().is_empty(),
                "{one:?}"
            );
        }
        use ExampleKind::{Identity, Key, Output, Payout, Pool, Provider, Signature};
        for kind in [Payout, Output, Key, Identity, Signature, Pool, Provider] {
            assert!(examples(kind).next().is_some(), "{kind:?}");
        }
    }

    #[test]
    fn an_example_is_found_by_its_kind_and_value() {
        let solo = example(ExampleKind::Signature, "sv2solominer").unwrap();
        assert_eq!(solo.origin(), "jd_client_sv2 0.1.3 to 0.6.0");
        assert_eq!(example(ExampleKind::Identity, "Sv2SoloMiner"), None);
        assert_eq!(example(ExampleKind::Identity, "barn"), None);
    }
}
