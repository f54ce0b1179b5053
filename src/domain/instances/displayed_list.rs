//! The parts of a page with a list, and which of them changed. No I/O.

use bytes::Bytes;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::list_view::InstanceListPage;
use super::views::InstanceFragments;
use crate::base::error::{Error, Result};
use crate::base::role::Role;
use crate::web::html_with;
use crate::web::sse::SseEvent;

/// The parts of a page that can change, as HTML.
pub(super) struct DisplayedList {
    summary: String,
    table: String,
    /// The number of instances that match and of all, and whether there are configurations: what the
    /// table shows around its rows.
    frame: (usize, usize, bool),
    /// The element ids of all rows, including the rows of groups.
    order: Vec<String>,
    rows: HashMap<String, String>,
}

impl DisplayedList {
    /// The parts of this page, as a role sees it. `here`: its address.
    ///
    /// # Errors
    /// A template fails, which is a bug.
    pub(super) fn of(page: &InstanceListPage, here: String, role: Role) -> Result<Self> {
        let (mut order, mut rows) = (Vec::new(), HashMap::new());
        let mut add = |id: String, row: askama::Result<String>| -> Result<()> {
            order.push(id.clone());
            rows.insert(id, row.map_err(Error::internal)?);
            Ok(())
        };
        for (header, members) in page.grouped_rows() {
            if let Some(header) = header {
                let row = header.row(&here);
                add(header.element_id(), html_with(&row, &role))?;
            }
            for (row_id, instance) in members {
                let row = InstanceFragments {
                    instance: instance.clone(),
                    here: here.clone(),
                    row_id: row_id.clone(),
                };
                add(row_id, html_with(&row.as_row(), &role))?;
            }
        }
        Ok(Self {
            summary: html_with(&page.as_summary(), &role).map_err(Error::internal)?,
            table: html_with(&page.as_table(), &role).map_err(Error::internal)?,
            frame: (page.total, page.fleet.count, page.notes.has_configs),
            order,
            rows,
        })
    }

    /// All parts, as an event.
    pub(super) fn whole(&self) -> Bytes {
        let summary = partial("summary", &self.summary);
        SseEvent::default().data(summary + &partial("table", &self.table))
    }

    /// The parts that differ from an earlier list, as an event; none without a difference.
    pub(super) fn parts_since(&self, earlier: &Self) -> Option<Bytes> {
        let differs = |now: &str, then: &str| stable_hash(now) != stable_hash(then);
        let mut parts = String::new();
        if differs(&self.summary, &earlier.summary) {
            parts.push_str(&partial("summary", &self.summary));
        }
        if (&self.order, self.frame) == (&earlier.order, earlier.frame) {
            let changed = self.order.iter().filter_map(|id| {
                let row = self.rows.get(id)?;
                let is_new = earlier.rows.get(id).is_none_or(|then| differs(row, then));
                is_new.then(|| partial(id, row))
            });
            parts.extend(changed);
        } else {
            parts.push_str(&partial("table", &self.table));
        }
        (!parts.is_empty()).then(|| SseEvent::default().data(parts))
    }
}

/// A part of a page that htmx swaps.
fn partial(id: &str, html: &str) -> String {
    format!("<hx-partial hx-target=\"#{id}\" hx-swap=\"outerMorph\">{html}</hx-partial>")
}

/// A hash of HTML without the texts of `time` elements, which the page itself counts up.
fn stable_hash(html: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut pieces = html.split("</time>").peekable();
    while let Some(piece) = pieces.next() {
        let end = match pieces.peek() {
            Some(_) => piece.rfind('>').unwrap_or(piece.len()),
            None => piece.len(),
        };
        piece[..end].hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_times_are_no_difference() {
        let row = |age: &str, name: &str| {
            stable_hash(&format!(
                "<td>{name}<time data-since=\"5\">{age}</time></td><td><time>{age}</time>x</td>"
            ))
        };
        assert_eq!(row("3 s", "a"), row("1 h", "a"));
        assert_ne!(row("3 s", "a"), row("3 s", "b"));
        assert_ne!(stable_hash("a</time>b"), stable_hash("a</time>c"));
        assert_eq!(stable_hash(""), stable_hash(""));
    }
}
