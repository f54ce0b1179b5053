//! SQL statements for the vault's row.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;

use crate::base::clock::Timestamp;
use crate::infra::db::schema::vault;

/// The value that proves a key is correct, and when the database file was rewritten; none: nothing was
/// sealed yet.
pub fn proof(db: &mut Db) -> QueryResult<Option<(String, Option<Timestamp>)>> {
    vault::table
        .select((vault::proof, vault::swept_at))
        .first(db)
        .optional()
}

/// Stores the proof.
pub fn set_proof(db: &mut Db, proof: &str) -> QueryResult<usize> {
    diesel::insert_into(vault::table)
        .values((vault::id.eq(1), vault::proof.eq(proof)))
        .execute(db)
}

/// Records that the database file was rewritten.
pub fn set_swept(db: &mut Db, now: Timestamp) -> QueryResult<usize> {
    diesel::update(vault::table)
        .set(vault::swept_at.eq(now))
        .execute(db)
}
