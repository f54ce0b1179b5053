//! Who caused a change, for histories.

use std::borrow::Cow;
use std::fmt;

/// A user, a token or a part of the manager that causes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    name: Cow<'static, str>,
    channel: ActorChannel,
}

/// How an actor reached the manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorChannel {
    /// Through the web page.
    Page,
    /// Through the API.
    Api,
    /// A part of the manager itself.
    Manager,
}

impl Actor {
    /// A user or a token.
    pub fn new(name: impl Into<String>, channel: ActorChannel) -> Self {
        Self {
            name: Cow::Owned(name.into()),
            channel,
        }
    }

    /// A part of the manager, such as `autostart`.
    pub const fn manager(part: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(part),
            channel: ActorChannel::Manager,
        }
    }
}

/// The text stored in histories: `ada (page)`, `ada (token deploy) (api)`, `autostart`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.channel {
            ActorChannel::Page => f.write_str(" (page)"),
            ActorChannel::Api => f.write_str(" (api)"),
            ActorChannel::Manager => Ok(()),
        }
    }
}

/// The name of the local account in histories.
pub const LOCAL_ACCOUNT: &str = "this machine";

/// A stored actor for people: `by ada (web page)`; none if it was not stored.
pub fn actor_text(stored: &str) -> Option<String> {
    match stored {
        "" => None,
        // From earlier versions, which did not store the user.
        "page" => Some("on the web page".into()),
        "api" => Some("through the API".into()),
        "jd-manager" => Some("by jd-manager".into()),
        "self-healing" => Some("by an automatic fix".into()),
        actor => {
            let who = match actor.strip_suffix(" (page)") {
                Some(who) => format!("{who} (web page)"),
                None => actor.replace(" (api)", " (API)"),
            };
            // The local account is a place, not a person.
            let preposition = match who.strip_prefix(LOCAL_ACCOUNT) {
                Some(rest) if rest.is_empty() || rest.starts_with(" (") => "on",
                _ => "by",
            };
            Some(format!("{preposition} {who}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_say_who_and_how() {
        for (actor, stored, shown) in [
            (
                Actor::new("ada", ActorChannel::Page),
                "ada (page)",
                "by ada (web page)",
            ),
            (
                Actor::new("ada (token deploy)", ActorChannel::Api),
                "ada (token deploy) (api)",
                "by ada (token deploy) (API)",
            ),
            (
                Actor::new(LOCAL_ACCOUNT, ActorChannel::Page),
                "this machine (page)",
                "on this machine (web page)",
            ),
            (Actor::manager("autostart"), "autostart", "by autostart"),
        ] {
            assert_eq!(actor.to_string(), stored);
            assert_eq!(actor_text(stored).as_deref(), Some(shown));
        }
        assert_eq!(actor_text("page").as_deref(), Some("on the web page"));
        assert_eq!(
            actor_text("self-healing").as_deref(),
            Some("by an automatic fix")
        );
        assert_eq!(actor_text(""), None);
    }
}
