//! Authority keys: the pair with which a client proves to the miners who it is, and the public keys by which it knows pools
//! and template providers.
//!
//! Invariants: a [`SecretKey`] holds a usable key and shows it only through [`SecretKey::reveal`]; whatever is printed,
//! logged or serialised otherwise shows [`MASK`]. Keys are written as the client takes them (base58check, see `model`).
//! `model` is pure and knows nothing of HTTP; nothing here knows configurations, instances or storage.

mod model;
pub mod openapi;

pub use model::{EXAMPLE_PUBLIC_KEY, KeyFault, KeyPair, MASK, SecretKey, pair_matches, parse_public_key, without_secret_keys};

pub mod routes;
pub mod views;
