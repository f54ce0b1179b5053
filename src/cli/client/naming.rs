//! Finds an item by its name, its id, or a unique start of its id.

use serde::Deserialize;

use super::error::CommandError;

/// An item with a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct NamedResource {
    /// The id.
    pub(super) id: String,
    /// The name.
    pub(super) name: String,
}

/// The maximum number of candidates shown.
const SHOWN: usize = 8;

/// The item of `all` that `wanted` refers to. `kind` names the items in messages, `list` is the
/// command that lists them.
pub(super) fn find<'a>(
    all: &'a [NamedResource],
    wanted: &str,
    kind: &str,
    list: &str,
) -> Result<&'a NamedResource, CommandError> {
    // A name has priority over an id, because people typed it on purpose. Names are unique
    // regardless of case.
    let exactly = all
        .iter()
        .find(|one| one.name == wanted || one.id == wanted);
    if let Some(one) = exactly.or_else(|| {
        all.iter()
            .find(|one| one.name.to_lowercase() == wanted.to_lowercase())
    }) {
        return Ok(one);
    }
    let is_beginning =
        !wanted.is_empty() && wanted.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let beginning = wanted.to_ascii_lowercase();
    let found: Vec<&NamedResource> = all
        .iter()
        .filter(|one| is_beginning && one.id.starts_with(&beginning))
        .collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(CommandError::Failed(format!(
            "there is no {kind} \"{wanted}\". {}",
            known(all, list)
        ))),
        _ => {
            let mut candidates: Vec<String> = found
                .iter()
                .take(SHOWN)
                .map(|one| format!("{} ({})", one.id, one.name))
                .collect();
            if found.len() > SHOWN {
                candidates.push(format!("{} more", found.len() - SHOWN));
            }
            Err(CommandError::Failed(format!(
                "\"{wanted}\" matches the start of several ids: {}. Enter more characters.",
                candidates.join(", ")
            )))
        }
    }
}

fn known(all: &[NamedResource], list: &str) -> String {
    match all.len() {
        0 => "There are none yet.".into(),
        1..=SHOWN => {
            let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
            format!(
                "Existing {}: {}.",
                if names.len() == 1 { "name" } else { "names" },
                names.join(", ")
            )
        }
        many => format!("There are {many}. List them with: {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str, name: &str) -> NamedResource {
        NamedResource {
            id: id.into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_name_wins_and_a_beginning_has_to_be_that_of_one() {
        let all = [
            named("f91e95df-1", "barn"),
            named("f91f0000-2", "Garage"),
            named("0abc-3", "f9"),
        ];
        let found = |wanted: &str| {
            find(&all, wanted, "instance", "jd-manager instances").map(|one| one.name.clone())
        };
        assert_eq!(found("barn").unwrap(), "barn");
        assert_eq!(found("garage").unwrap(), "Garage");
        assert_eq!(found("f91e").unwrap(), "barn");
        assert_eq!(found("0ABC-3").unwrap(), "f9");
        // A name that is also the start of two ids.
        assert_eq!(found("f9").unwrap(), "f9");
        let said = |wanted: &str| match found(wanted) {
            Err(CommandError::Failed(said)) => said,
            other => panic!("{other:?}"),
        };
        let ambiguous = said("f91");
        assert!(
            ambiguous.contains("f91e95df-1 (barn)") && ambiguous.contains("f91f0000-2 (Garage)"),
            "{ambiguous}"
        );
        assert!(said("bar").contains("barn, Garage, f9"), "{}", said("bar"));
        assert!(said("").contains("no instance \"\""));
    }
}
