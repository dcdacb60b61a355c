//! What Leptos knows of the page that it renders, kept with that page.
//!
//! Leptos has it in thread-local storage: it puts it there when a page begins, and when a part of the page goes on, but not
//! whenever the page itself does. A page that waited for its data may go on on another thread, or on its own after another
//! page was there. It would read what is the other's; when that is gone already, it panics.

use axum::{extract::Request, middleware::Next, response::Response};
use leptos::prelude::Owner;
use std::{
    future::{Future, poll_fn},
    pin::pin,
};

/// Lets each page find what it left, whatever was rendered in between.
pub(super) async fn keep_apart(request: Request, next: Next) -> Response {
    apart(next.run(request)).await
}

async fn apart<F: Future>(page: F) -> F::Output {
    let mut owner = Owner::new_root(None);
    let mut page = pin!(page);
    poll_fn(move |context| {
        owner.set();
        let polled = page.as_mut().poll(context);
        if let Some(now) = Owner::current() {
            owner = now;
        }
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join;
    use leptos::prelude::{GetValue, StoredValue, provide_context, use_context};

    /// A page that knows its name by context and by a stored value, and waits before it reads them.
    async fn page(name: &'static str) -> (Option<&'static str>, Option<&'static str>) {
        let owner = Owner::new_root(None);
        provide_context(name);
        let stored = StoredValue::new(name);
        tokio::task::yield_now().await;
        let read = (use_context(), stored.try_get_value());
        drop(owner);
        read
    }

    #[tokio::test]
    async fn a_page_finds_its_own_after_another_had_its_turn() {
        let (one, two) = join(apart(page("one")), apart(page("two"))).await;
        assert_eq!(one, (Some("one"), Some("one")));
        assert_eq!(two, (Some("two"), Some("two")));
    }

    /// If this fails, Leptos does it by itself, and this module can go.
    #[tokio::test]
    async fn without_it_a_page_reads_what_is_anothers() {
        let (one, _) = join(page("one"), page("two")).await;
        assert_ne!(one, (Some("one"), Some("one")));
    }
}
