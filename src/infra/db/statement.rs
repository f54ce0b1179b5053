//! Statements in plain SQL that a connection prepares only once. Diesel prepares a `sql_query` each
//! time, because it cannot know whether the text is used again. For a short statement, preparing costs
//! several times as much as running it.

use diesel::QueryResult;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use std::borrow::Cow;
use std::marker::PhantomData;

/// A value for a `?`.
#[derive(Clone, Debug)]
enum StatementValue {
    Number(i64),
    Text(String),
}

/// A statement with one of a few frequently used texts; every connection caches all of them. A `?` is
/// a value and must not appear elsewhere. `Columns` are the SQL types of the rows, which are read by
/// position, not by name.
#[derive(Clone, Debug)]
pub struct CachedStatement<Columns> {
    text: Cow<'static, str>,
    values: Vec<StatementValue>,
    columns: PhantomData<Columns>,
}

impl<Columns> CachedStatement<Columns> {
    /// The statement with this text, without values.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
            columns: PhantomData,
        }
    }

    /// Adds a number for the next `?`.
    pub fn number(mut self, number: i64) -> Self {
        self.values.push(StatementValue::Number(number));
        self
    }

    /// Adds a text for the next `?`.
    pub fn text(mut self, text: impl ToString) -> Self {
        self.values.push(StatementValue::Text(text.to_string()));
        self
    }
}

impl<Columns> QueryFragment<Sqlite> for CachedStatement<Columns> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut parts = self.text.split('?');
        out.push_sql(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(&self.values) {
            match value {
                StatementValue::Number(number) => out.push_bind_param::<BigInt, _>(number)?,
                StatementValue::Text(text) => out.push_bind_param::<Text, _>(text)?,
            }
            out.push_sql(part);
        }
        Ok(())
    }
}

impl<Columns> QueryId for CachedStatement<Columns> {
    type QueryId = ();
    // The cache key is the text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Columns> Query for CachedStatement<Columns> {
    type SqlType = Columns;
}

impl<Columns> diesel::RunQueryDsl<SqliteConnection> for CachedStatement<Columns> {}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::connection::InstrumentationEvent;
    use diesel::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn values_take_their_places_and_the_text_is_prepared_once() {
        let mut db = SqliteConnection::establish(":memory:").unwrap();
        let remembered = Arc::new(AtomicUsize::new(0));
        let counted = remembered.clone();
        db.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let asked = |number| {
            CachedStatement::<(BigInt, Text)>::new("SELECT ? + 1, ? || '!'")
                .number(number)
                .text("yes")
        };
        for number in 0..3 {
            let found: Vec<(i64, String)> = asked(number).load(&mut db).unwrap();
            assert_eq!(found, [(number + 1, "yes!".to_owned())]);
        }
        assert_eq!(remembered.load(Ordering::Relaxed), 1);
    }
}
