//! Secrets at rest: what nobody may read who has only the database is sealed with a key that lies beside it.
//!
//! The key is the file `secrets.key` in the data directory, 0600, made at the first start. A copy of the database alone, a backup
//! without the key, a page out of the file give nothing away. Whoever has the key or the manager's own user has the secrets: against them this
//! is no protection, and nothing here pretends so.
//!
//! ```text
//! text ── seal(place) ──▶ sealed:1:<base64 of a random nonce of 24 bytes, the ciphertext and its tag>      XChaCha20-Poly1305
//! ```
//!
//! Invariants: a value opens only at the place it was sealed for (table, row, column), so one that is moved elsewhere is noticed; what
//! [`Vault::begin`] returned knows the key of everything that is sealed in this database; no error quotes a value.
//!
//! Each domain says itself what of its rows is a secret, by a [`Sealer`].

mod key;
mod queries;
mod sealing;
mod service;

pub use key::{KEY_FILE, KeyFault};
pub use sealing::{Vault, is_sealed};
pub use service::{Refusal, Sealer, fits};
