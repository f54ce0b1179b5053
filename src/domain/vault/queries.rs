//! The statements behind the vault's one row.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;

use crate::base::clock::Timestamp;
use crate::infra::db::schema::vault;

/// The proof that a key is the right one, and when the file was written anew; none: nothing was
/// sealed yet.
pub fn proof(db: &mut Db) -> QueryResult<Option<(String, Option<Timestamp>)>> {
    vault::table
        .select((vault::proof, vault::swept_at))
        .first(db)
        .optional()
}

/// Keeps the proof.
pub fn set_proof(db: &mut Db, proof: &str) -> QueryResult<usize> {
    diesel::insert_into(vault::table)
        .values((vault::id.eq(1), vault::proof.eq(proof)))
        .execute(db)
}

/// Notes that the file was written anew.
pub fn set_swept(db: &mut Db, now: Timestamp) -> QueryResult<usize> {
    diesel::update(vault::table)
        .set(vault::swept_at.eq(now))
        .execute(db)
}
