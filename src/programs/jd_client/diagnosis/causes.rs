//! The causes of an end: what the client writes when it fails, what that means, and what to do. The
//! texts are from runs of jd_client_sv2 0.6.0 and from the sources of 0.1.0 to 0.6.0
//! (`tests/data/messages.tsv` lists all of them). More exact rules come before more general ones.

mod client;
mod config;
mod node;
mod provider;

/// How much a line explains. Of lines about the same end the one that explains more is the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::programs) enum CauseWeight {
    /// What the client was doing.
    Circumstance,
    /// That something ended or failed.
    Summary,
    /// Why.
    Reason,
}

/// A text that the client writes, and its meaning.
pub(in crate::programs) struct CauseRule {
    /// For programs; it never changes.
    pub code: &'static str,
    /// A line must contain all of these texts. `|` separates alternatives. Quotes have no backslash.
    pub marks: &'static [&'static str],
    /// The text that replaces `{}`: it begins behind the first text and ends before any of the
    /// characters, or with the line.
    pub detail: Option<(&'static str, &'static [char])>,
    /// What happened.
    pub what: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// It may be why the client crashed, not only why it ended.
    pub may_crash: bool,
    /// How much it explains.
    pub weight: CauseWeight,
    /// A line for the test of this rule.
    #[cfg_attr(not(test), expect(dead_code))]
    pub example: &'static str,
}

/// What most rules have in common.
pub(in crate::programs) const RULE: CauseRule = CauseRule {
    code: "",
    marks: &[],
    detail: None,
    what: "",
    advice: "",
    may_crash: false,
    weight: CauseWeight::Reason,
    example: "",
};

/// All rules, more exact ones first.
pub(super) fn rules() -> impl Iterator<Item = &'static CauseRule> {
    provider::RULES
        .iter()
        .chain(node::RULES)
        .chain(config::RULES)
        .chain(client::RULES)
}
