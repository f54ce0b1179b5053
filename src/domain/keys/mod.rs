//! Authority keys: the key pair by which miners verify the client, and the public keys by which the
//! client verifies pools and template providers.
//!
//! Invariants: a [`SecretKey`] holds a usable key and shows it only through [`SecretKey::reveal`];
//! everything else that prints, logs or serializes it shows [`MASK`]. Keys are written in the client's
//! format (base58check, see `model`). Independent of configurations, instances and storage.

mod model;
mod other_formats;
pub mod route_table;

pub use model::{
    EXAMPLE_PUBLIC_KEY, KeyFormatError, KeyPair, MASK, SecretKey, pair_matches, parse_public_key,
    without_secret_keys,
};

pub mod routes;
pub mod views;
