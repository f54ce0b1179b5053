//! Why a client exited: the lines it writes when it fails, their meaning, and the fix. The texts
//! are from runs of jd_client_sv2 0.6.0 and from the source code of 0.1.0 to 0.6.0
//! (`tests/data/messages.tsv` lists all of them). Specific rules come before general ones.

mod client;
mod config;
mod node;
mod provider;

/// How much a line explains. If several lines are about the same exit, the line with the highest
/// weight is the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::programs) enum CauseWeight {
    /// The situation of the client.
    Circumstance,
    /// Something stopped or failed.
    Summary,
    /// The reason.
    Reason,
}

/// A text in the client's log, and its meaning.
pub(in crate::programs) struct CauseRule {
    /// The code for programs. It never changes.
    pub code: &'static str,
    /// A line must contain all of these texts. `|` separates alternatives. Quotes have no
    /// backslash.
    pub marks: &'static [&'static str],
    /// The text that replaces `{}`. It begins after the first text and ends before any of the
    /// characters or at the end of the line.
    pub detail: Option<(&'static str, &'static [char])>,
    /// The problem, as a title without a period.
    pub what: &'static str,
    /// The fix.
    pub advice: &'static str,
    /// The line can also explain a crash, not only an exit.
    pub may_crash: bool,
    /// How much the line explains.
    pub weight: CauseWeight,
    /// An example line for the test of this rule.
    #[cfg_attr(not(test), expect(dead_code))]
    pub example: &'static str,
}

/// The values that most rules have in common.
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

/// All rules, specific rules first.
pub(super) fn rules() -> impl Iterator<Item = &'static CauseRule> {
    provider::RULES
        .iter()
        .chain(node::RULES)
        .chain(config::RULES)
        .chain(client::RULES)
}
