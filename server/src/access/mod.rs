//! Who may ask for what: keys of programs, their scopes, and whether anybody has to have one.
//!
//! A key is an id, which is no secret and by which it is found, and a secret, whose digest is compared in
//! constant time. [`Keys`] has all of them in memory, so that no request waits for the database; a change is told by
//! PostgreSQL itself. This module knows nothing of HTTP and of how often somebody may ask: `http` reads credentials from
//! requests and counts, `feed` asks here what its clients say on a socket.

mod key;
mod keys;

pub use key::{ApiKey, KeyId, KeySyntax, Scope};
pub use keys::{Denied, Key, KeyMode, Keys, Pass};
