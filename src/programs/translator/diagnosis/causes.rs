//! The causes of an exit: the translator's log messages, their meaning and the fix. The messages
//! are from runs of translator_sv2 0.6.0 (`tests/data/translator`) and from the sources of 0.2.0 to
//! 0.6.0 (`tests/data/messages.tsv` lists all of them). More exact rules come first.

mod config;
mod machine;
mod upstream;

use crate::programs::jd_client::diagnosis::causes::CauseRule;

/// All rules, more exact ones first.
pub(super) fn rules() -> impl Iterator<Item = &'static CauseRule> {
    config::RULES
        .iter()
        .chain(machine::RULES)
        .chain(upstream::RULES)
}
