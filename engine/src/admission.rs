//! Which queries may run at once: so many in all and for each principal, the others in a line of bounded length.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::EngineError;

/// Principals whose places are remembered while none of their queries runs or waits.
const MOST_IDLE_PRINCIPALS: usize = 1_000;

/// How many queries run and wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Queries that run at once.
    pub running: usize,
    /// Queries of one principal that run at once.
    pub running_of_one: usize,
    /// Queries that wait for their turn; further ones are turned away.
    pub waiting: usize,
}

/// The places of running queries, and the line before them.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: AdmissionLimits,
    places: Arc<Semaphore>,
    of_principals: Mutex<HashMap<String, Arc<Semaphore>>>,
    waiting: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    is_closed: AtomicBool,
}

/// The place of a running query, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _place: OwnedSemaphorePermit,
    _of_principal: OwnedSemaphorePermit,
    _running: Counted,
}

/// One of those that are counted, until this is dropped.
#[derive(Debug)]
struct Counted {
    count: Arc<AtomicUsize>,
}

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self {
            count: Arc::clone(count),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            places: Arc::new(Semaphore::new(limits.running)),
            of_principals: Mutex::default(),
            waiting: Arc::default(),
            running: Arc::default(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// A place for a query; it waits for one when all are taken, in the order in which queries came.
    ///
    /// # Errors
    /// [`EngineError::Busy`] when the line is full, or nobody is let in any more.
    pub(crate) async fn enter(&self, principal: &str) -> Result<Permit, EngineError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(stopping());
        }
        let own = self.places_of(principal);
        if let Ok(of_principal) = Arc::clone(&own).try_acquire_owned()
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
        {
            return Ok(self.permit(place, of_principal));
        }
        let in_line = Counted::new(&self.waiting);
        let ahead = self.waiting() - 1;
        if ahead >= self.limits.waiting {
            return Err(EngineError::busy(
                format!("{ahead} queries are waiting already"),
                "try again in a moment",
            ));
        }
        // The principal's own places come first: who waits for these holds up nobody else.
        let of_principal = own.acquire_owned().await.map_err(|_| stopping())?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| stopping())?;
        drop(in_line);
        Ok(self.permit(place, of_principal))
    }

    fn permit(&self, place: OwnedSemaphorePermit, of_principal: OwnedSemaphorePermit) -> Permit {
        Permit {
            _place: place,
            _of_principal: of_principal,
            _running: Counted::new(&self.running),
        }
    }

    /// Lets no further query in, those that wait neither.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.places.close();
        let of_principals = self.of_principals.lock();
        let of_principals = of_principals.unwrap_or_else(PoisonError::into_inner);
        of_principals.values().for_each(|places| places.close());
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    fn places_of(&self, principal: &str) -> Arc<Semaphore> {
        let of_principals = self.of_principals.lock();
        let mut of_principals = of_principals.unwrap_or_else(PoisonError::into_inner);
        if of_principals.len() > MOST_IDLE_PRINCIPALS {
            of_principals.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let places = || Arc::new(Semaphore::new(self.limits.running_of_one));
        let of_principal = of_principals.entry(principal.to_owned());
        Arc::clone(of_principal.or_insert_with(places))
    }
}

fn stopping() -> EngineError {
    EngineError::busy("the server is stopping", "try again in a moment")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ErrorKind;

    const LIMITS: AdmissionLimits = AdmissionLimits {
        running: 2,
        running_of_one: 1,
        waiting: 1,
    };

    /// Whether a query gets its place without waiting.
    async fn enters(admission: &Admission, principal: &str) -> Option<Permit> {
        let entered = admission.enter(principal);
        let entered = tokio::time::timeout(Duration::from_millis(10), entered).await;
        entered.ok().map(Result::unwrap)
    }

    #[tokio::test]
    async fn one_principal_leaves_places_to_others() {
        let admission = Admission::new(LIMITS);
        let first = enters(&admission, "a").await;
        assert!(first.is_some());
        assert!(enters(&admission, "a").await.is_none());
        let other = enters(&admission, "b").await;
        assert!(other.is_some());
        drop(first);
        assert!(enters(&admission, "a").await.is_some());
        assert_eq!(admission.running(), 1);
    }

    #[tokio::test]
    async fn line_is_bounded_and_who_left_it_is_not_counted() {
        let admission = Admission::new(LIMITS);
        let _running = [
            enters(&admission, "a").await.unwrap(),
            enters(&admission, "b").await.unwrap(),
        ];
        assert!(enters(&admission, "c").await.is_none());
        assert_eq!((admission.waiting(), admission.running()), (0, 2));
        let mut waits = Box::pin(admission.enter("c"));
        assert!(futures::poll!(&mut waits).is_pending());
        let error = admission.enter("d").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    }

    #[tokio::test]
    async fn who_waits_for_a_place_of_its_own_leaves_the_free_ones_to_others() {
        let admission = Admission::new(LIMITS);
        let _running = enters(&admission, "a").await.unwrap();
        let mut waits = Box::pin(admission.enter("a"));
        assert!(futures::poll!(&mut waits).is_pending());
        assert!(enters(&admission, "b").await.is_some());
    }

    #[tokio::test]
    async fn who_waits_when_the_server_stops_is_turned_away() {
        let admission = Admission::new(LIMITS);
        let running = enters(&admission, "a").await;
        let mut waits = Box::pin(admission.enter("a"));
        assert!(futures::poll!(&mut waits).is_pending());
        admission.close();
        let error = waits.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        drop(running);
        assert_eq!(admission.running(), 0);
    }

    #[tokio::test]
    async fn closed_to_new_queries_while_others_go_on() {
        let admission = Admission::new(LIMITS);
        let running = enters(&admission, "a").await;
        admission.close();
        let error = admission.enter("b").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert_eq!(admission.running(), 1);
        drop(running);
        assert_eq!(admission.running(), 0);
    }
}
