//! The logs of a view: those of one instance, or of several, merged. Pure.

use schemars::JsonSchema;
use serde::Serialize;

use super::offset::{LogOffset, LogSelection, short_id};
use crate::base::error::FieldError;
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, InstanceFilter, ProgramName};

/// Maximum number of instances in a view. Each costs a search of its files, and a reader while the view is
/// live.
pub const MOST_INSTANCES: usize = 50;

/// An instance of a view.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct LogInstance {
    /// The id.
    pub id: InstanceId,
    /// The name.
    pub name: String,
}

/// Who wrote a record.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct LogSource {
    /// The instance.
    #[serde(skip)]
    pub id: InstanceId,
    /// The id of the instance; only with the logs of several instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// Its name; only with the logs of several instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// The program.
    pub program: ProgramName,
    /// The view has the logs of both programs.
    #[serde(skip)]
    pub is_mixed: bool,
}

impl LogSource {
    /// The name of a record in its view, for links within a page.
    pub fn anchor(&self, seq: u64) -> String {
        let program = self.program.as_str();
        match self.instance_id {
            Some(id) => format!("{id}-{program}-{seq}"),
            None => format!("{program}-{seq}"),
        }
    }

    /// The address of a record in the log of its instance.
    pub fn address(&self, seq: u64) -> String {
        let program = self.program.as_str();
        let both = if self.is_mixed { "program=all&" } else { "" };
        let id = self.id;
        format!("/instances/{id}/logs?{both}at={program}-{seq}#{program}-{seq}")
    }

    /// What the lines of a text begin with; empty if there is one source only.
    pub fn prefix(&self) -> String {
        let program = match self.is_mixed {
            true => format!("{:<10} ", self.program.as_str()),
            false => String::new(),
        };
        let name = self.instance_name.as_deref().unwrap_or_default();
        let separator = if name.is_empty() { "" } else { " " };
        format!("{name}{separator}{program}")
    }
}

/// The logs of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogScope {
    /// The instances.
    pub instances: Vec<LogInstance>,
    /// The logs, those of an instance together.
    pub sources: Vec<LogSource>,
    /// Which log of each instance.
    pub selection: LogSelection,
    /// Records name their instance.
    pub is_named: bool,
}

impl LogScope {
    /// The log of one instance.
    pub fn of(id: InstanceId, selection: LogSelection) -> Self {
        let name = String::new();
        Self::new(vec![LogInstance { id, name }], selection, false)
    }

    /// A view without instances.
    pub fn none(selection: LogSelection) -> Self {
        Self::new(Vec::new(), selection, true)
    }

    fn new(instances: Vec<LogInstance>, selection: LogSelection, is_named: bool) -> Self {
        let programs = selection.programs();
        let source = |one: &LogInstance, program: ProgramName| LogSource {
            id: one.id,
            instance_id: is_named.then_some(one.id),
            instance_name: is_named.then(|| one.name.clone()),
            program,
            is_mixed: programs.len() > 1,
        };
        let sources = instances
            .iter()
            .flat_map(|one| programs.iter().map(move |program| source(one, *program)));
        Self {
            sources: sources.collect(),
            instances,
            selection,
            is_named,
        }
    }

    /// The instances with these names or ids that pass the filter, in the order of their creation. No
    /// name means all that pass.
    ///
    /// # Errors
    /// A name that no instance has, or too many instances.
    pub fn select(
        all: &[Instance],
        wanted: &[String],
        filter: &InstanceFilter,
        selection: LogSelection,
    ) -> Result<Self, FieldError> {
        let is_it = |one: &Instance, name: &str| {
            one.name == name || one.id.to_string().eq_ignore_ascii_case(name)
        };
        let unknown = wanted
            .iter()
            .find(|name| !all.iter().any(|one| is_it(one, name)));
        if let Some(name) = unknown {
            let shown: String = name.chars().take(50).collect();
            let detail = format!("There is no instance \"{shown}\". It may have been deleted.");
            return Err(FieldError::new("/instance", detail));
        }
        let is_selected = |one: &&Instance| {
            (wanted.is_empty() || wanted.iter().any(|name| is_it(one, name)))
                && filter.matches(one, &Default::default())
        };
        let found = all.iter().filter(is_selected).map(|one| LogInstance {
            id: one.id,
            name: one.name.clone(),
        });
        let found: Vec<_> = found.collect();
        if found.len() > MOST_INSTANCES {
            let count = found.len();
            let detail = format!(
                "There are {count} instances. A view shows the logs of at most {MOST_INSTANCES}. Select fewer by name, tag or state."
            );
            return Err(FieldError::new("/instance", detail));
        }
        Ok(Self::new(found, selection, true))
    }

    /// Whether lines name the program that wrote them.
    pub fn is_mixed(&self) -> bool {
        self.selection == LogSelection::All
    }

    /// The sequence number of a place in each log. Zero for the logs of an instance that was not part of
    /// the view.
    pub fn places(&self, offset: &LogOffset) -> Vec<u64> {
        match offset {
            LogOffset::One(place) => vec![*place; self.sources.len()],
            LogOffset::Both(places) => places.to_vec(),
            LogOffset::Several(parts) => {
                let programs = self.selection.programs().len();
                let places = |one: &LogInstance| {
                    let id = short_id(one.id);
                    let known = parts.iter().find(|(known, _)| *known == id);
                    known.map_or_else(|| vec![0; programs], |(_, places)| places.clone())
                };
                self.instances.iter().flat_map(places).collect()
            }
        }
    }

    /// The place with these sequence numbers, one for each log.
    pub fn offset(&self, places: &[u64]) -> LogOffset {
        if self.is_named {
            let programs = self.selection.programs().len();
            let places = places.chunks(programs);
            let parts = self.instances.iter().zip(places);
            let part = |(one, places): (&LogInstance, &[u64])| (short_id(one.id), places.to_vec());
            return LogOffset::Several(parts.map(part).collect());
        }
        match *places {
            [client, translator] => LogOffset::Both([client, translator]),
            _ => LogOffset::One(places.first().copied().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_several_logs_outlives_a_change_of_the_view() {
        let [a, b, c]: [InstanceId; 3] = std::array::from_fn(|_| InstanceId::random());
        let view = |ids: &[InstanceId], selection| {
            let one = |id: &InstanceId| LogInstance {
                id: *id,
                name: id.to_string(),
            };
            LogScope::new(ids.iter().map(one).collect(), selection, true)
        };
        let before = view(&[a, b], LogSelection::All);
        let place = before.offset(&[1, 2, 3, 4]);
        let read: LogOffset = place.to_string().parse().unwrap();
        assert_eq!(read, place);
        assert_eq!(before.places(&read), [1, 2, 3, 4]);
        let after = view(&[c, b], LogSelection::All);
        assert_eq!(after.places(&read), [0, 0, 3, 4]);
        assert!(LogSelection::All.has(&read, true) && !LogSelection::All.has(&read, false));
        assert!(!LogSelection::Client.has(&read, true));
        let none = view(&[], LogSelection::Client);
        assert_eq!(none.offset(&[]).to_string(), "");
    }

    #[test]
    fn a_record_has_an_address_in_the_log_of_its_instance() {
        let id = InstanceId::random();
        let source = &LogScope::of(id, LogSelection::Client).sources[0];
        let expected = format!("/instances/{id}/logs?at=client-7#client-7");
        assert_eq!(
            (source.address(7), source.anchor(7)),
            (expected, "client-7".into())
        );
        let one = LogInstance {
            id,
            name: "barn".into(),
        };
        let source = &LogScope::new(vec![one], LogSelection::All, true).sources[1];
        assert_eq!(source.anchor(7), format!("{id}-translator-7"));
        assert_eq!(source.prefix(), "barn translator ");
        assert!(
            source
                .address(7)
                .ends_with("?program=all&at=translator-7#translator-7")
        );
    }
}
