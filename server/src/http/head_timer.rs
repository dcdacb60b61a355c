//! The time that a request's head is given, by one timer for each connection.
//!
//! Hyper asks for a new timer for each head that it waits for, and lets it go when the head is there, which mostly is at once.
//! The deadlines of one connection only move on, so that one timer can follow them: it is set anew when it has run out, and
//! not for every request.

use hyper::rt::{Sleep, Timer};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

/// Of one connection. Clones share the timer.
#[derive(Clone)]
pub(super) struct HeadTimer(Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>);

impl HeadTimer {
    /// `limit`: what hyper is told too; a shorter one makes it look more often, a longer one too late.
    pub(super) fn new(limit: Duration) -> Self {
        Self(Arc::new(Mutex::new(Box::pin(tokio::time::sleep(limit)))))
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Deadline { timer: self.0.clone(), at: deadline.into() })
    }
}

struct Deadline {
    timer: Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>,
    at: tokio::time::Instant,
}

impl Sleep for Deadline {}

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= self.at {
                return Poll::Ready(());
            }
            // It ran for a head that is long there.
            timer.as_mut().reset(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;

    #[tokio::test]
    async fn each_head_has_all_of_its_time_however_many_came_before() {
        let limit = Duration::from_millis(40);
        let timer = HeadTimer::new(limit);
        let began = Instant::now();
        // Those heads came in time.
        for head in 0..4 {
            let mut head = timer.sleep_until(began + limit + head * limit / 2);
            assert!(poll!(head.as_mut()).is_pending());
        }
        timer.sleep_until(began + 3 * limit).await;
        assert!(began.elapsed() >= 3 * limit);
        // Whoever waits for the next is waited for anew.
        let next = Instant::now();
        timer.sleep(limit).await;
        assert!(next.elapsed() >= limit);
    }
}
