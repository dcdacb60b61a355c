//! Following a link within the page, from code.

use leptos::prelude::*;

/// What follows a link; with `true` it takes the place of the entry in the history.
#[cfg(feature = "hydrate")]
pub fn follower() -> Callback<(String, bool)> {
    use leptos_router::{NavigateOptions, hooks::use_navigate};

    let navigate = StoredValue::new_local(use_navigate());
    Callback::new(move |(link, replace): (String, bool)| {
        let options = NavigateOptions { scroll: false, replace, ..NavigateOptions::default() };
        navigate.with_value(|navigate| navigate(&link, options));
    })
}

/// On the server nobody follows any. What it renders is dropped by any of its threads, so that nothing in it may belong to one
/// of them, as the router's own does.
#[cfg(not(feature = "hydrate"))]
pub fn follower() -> Callback<(String, bool)> {
    Callback::new(|_| {})
}
