//! Secrets at rest: encrypted ("sealed") in the database with a key in the same directory.
//!
//! The key is the file `secrets.key` in the data directory, 0600, created at the first start. A
//! copy of the database alone, or a backup without the key, reveals nothing. This does not
//! protect against the manager's own system user or anyone who can read the key.
//!
//! ```text
//! text ─ seal(place) ─▶ sealed:1:<base64 of nonce (24 bytes), ciphertext, tag>  XChaCha20-Poly1305
//! ```
//!
//! Invariants: a value can be decrypted only at the place it was sealed for (table, row, column), so
//! moving one is detected. [`Vault::begin`] returns a vault with the key for everything sealed in this
//! database, or fails. No error quotes a value.
//!
//! `key`: the file. `sealing`: sealing and opening. `service`: the first start, and databases from
//! before sealing. Each domain declares which of its values are secret with a [`Sealer`].

mod key;
mod queries;
mod sealing;
mod service;

pub use key::{KEY_FILE, KeyFileError};
pub use sealing::{Vault, is_sealed};
pub use service::{Sealer, VaultRefusal, fits};
