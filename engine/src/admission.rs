//! Which queries may run at once: so many in all and for each principal. Those of a principal wait in a line, the lines of
//! all principals are served in turns, and all of them together have a bounded length.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::EngineError;

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

/// The places of running queries, and the lines before them.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    limits: AdmissionLimits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
    /// Those of whom queries run or wait.
    principals: HashMap<String, OfPrincipal>,
    /// The principals with queries that wait, who is served next first.
    turns: VecDeque<String>,
    /// Numbers those that wait.
    serial: u64,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct OfPrincipal {
    running: usize,
    line: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    serial: u64,
    /// Gets the place. Who is turned away gets nothing.
    turn: oneshot::Sender<Permit>,
}

/// The place of a running query, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Admission,
    principal: String,
}

/// A query in line, which leaves it when this is dropped.
#[derive(Debug)]
struct InLine<'a> {
    admission: &'a Admission,
    principal: &'a str,
    serial: u64,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            state: Arc::default(),
        }
    }

    /// A place for a query; it waits for one when all are taken. When the lines are full, one of the principal with the
    /// longest line is turned away.
    ///
    /// # Errors
    /// [`EngineError::Busy`] when the line is full, or nobody is let in any more.
    pub(crate) async fn enter(&self, principal: &str) -> Result<Permit, EngineError> {
        let (in_line, turn) = {
            let mut state = self.state();
            if state.is_closed {
                return Err(stopping());
            }
            // Whoever waits could not take the place: it would have been theirs when it became free.
            if state.take(principal, &self.limits) {
                return Ok(self.permit(principal.to_owned()));
            }
            if state.waiting >= self.limits.waiting && !state.make_room_for(principal) {
                return Err(full());
            }
            let (serial, turn) = state.stand_in_line(principal);
            let admission = self;
            let in_line = InLine {
                admission,
                principal,
                serial,
            };
            (in_line, turn)
        };
        let permit = turn.await;
        drop(in_line);
        permit.map_err(|_| match self.state().is_closed {
            true => stopping(),
            false => full(),
        })
    }

    /// Lets no further query in, those that wait neither.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting = 0;
        state.turns.clear();
        state.principals.values_mut().for_each(|of| of.line.clear());
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.state().running
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting
    }

    fn permit(&self, principal: String) -> Permit {
        Permit {
            admission: self.clone(),
            principal,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a place that is free.
    fn take(&mut self, principal: &str, limits: &AdmissionLimits) -> bool {
        if self.running >= limits.running {
            return false;
        }
        let of = self.principals.entry(principal.to_owned()).or_default();
        if of.running >= limits.running_of_one {
            return false;
        }
        of.running += 1;
        self.running += 1;
        true
    }

    /// The principal whose turn it is takes a place that is free.
    fn next(&mut self, limits: &AdmissionLimits) -> Option<(String, oneshot::Sender<Permit>)> {
        for _ in 0..self.turns.len() {
            let principal = self.turns.pop_front()?;
            if !self.take(&principal, limits) {
                self.turns.push_back(principal);
                continue;
            }
            let of = self.principals.get_mut(&principal)?;
            let first = of.line.pop_front()?;
            self.waiting -= 1;
            if !of.line.is_empty() {
                self.turns.push_back(principal.clone());
            }
            return Some((principal, first.turn));
        }
        None
    }

    /// Turns away the newest query of whoever has most of them in line. None is when that would be the one that comes.
    fn make_room_for(&mut self, principal: &str) -> bool {
        let own = self.principals.get(principal).map_or(0, |of| of.line.len());
        let lines = self.principals.iter_mut();
        let Some((longest, of)) = lines.max_by_key(|(_, of)| of.line.len()) else {
            return false;
        };
        if of.line.len() <= own + 1 {
            return false;
        }
        let (longest, newest) = (longest.clone(), of.line.back().map(|last| last.serial));
        newest.is_some_and(|serial| self.leave(&longest, serial))
    }

    fn stand_in_line(&mut self, principal: &str) -> (u64, oneshot::Receiver<Permit>) {
        let (turn, comes) = oneshot::channel();
        self.serial += 1;
        let serial = self.serial;
        let of = self.principals.entry(principal.to_owned()).or_default();
        if of.line.is_empty() {
            self.turns.push_back(principal.to_owned());
        }
        of.line.push_back(Waiting { serial, turn });
        self.waiting += 1;
        (serial, comes)
    }

    /// Takes a query out of the line. False when it is not there any more.
    fn leave(&mut self, principal: &str, serial: u64) -> bool {
        let Some(of) = self.principals.get_mut(principal) else {
            return false;
        };
        let place = of.line.iter().position(|waiting| waiting.serial == serial);
        let Some(_left) = place.and_then(|place| of.line.remove(place)) else {
            return false;
        };
        self.waiting -= 1;
        if of.line.is_empty() {
            self.turns.retain(|other| other != principal);
            self.forget_if_idle(principal);
        }
        true
    }

    fn forget_if_idle(&mut self, principal: &str) {
        let of = self.principals.get(principal);
        if of.is_some_and(|of| of.running == 0 && of.line.is_empty()) {
            self.principals.remove(principal);
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.admission.state().leave(self.principal, self.serial);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let limits = self.admission.limits;
        let next = {
            let mut state = self.admission.state();
            state.running -= 1;
            if let Some(of) = state.principals.get_mut(&self.principal) {
                of.running -= 1;
            }
            let next = state.next(&limits);
            state.forget_if_idle(&self.principal);
            next
        };
        if let Some((principal, turn)) = next {
            // Who went away leaves the place to the next one: what is not taken is dropped here.
            drop(turn.send(self.admission.permit(principal)));
        }
    }
}

fn full() -> EngineError {
    EngineError::busy(
        "too many queries are waiting already",
        "try again in a moment",
    )
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
    async fn principals_are_served_in_turns() {
        let admission = Admission::new(AdmissionLimits {
            running: 1,
            running_of_one: 1,
            waiting: 10,
        });
        let running = enters(&admission, "a").await.unwrap();
        let mut waiting = ["a", "a", "a", "b", "c"].map(|principal| {
            let enter = admission.enter(principal);
            (principal, Box::pin(enter))
        });
        for (_, enter) in &mut waiting {
            assert!(futures::poll!(enter).is_pending());
        }
        let mut waiting = Vec::from(waiting);
        let mut served = Vec::new();
        let mut place = running;
        while !waiting.is_empty() {
            drop(place);
            let mut next = None;
            for (at, (_, enter)) in waiting.iter_mut().enumerate() {
                if let std::task::Poll::Ready(entered) = futures::poll!(enter) {
                    next = Some((at, entered.unwrap()));
                    break;
                }
            }
            let (at, entered) = next.unwrap();
            served.push(waiting.remove(at).0);
            place = entered;
        }
        assert_eq!(served, ["a", "b", "c", "a", "a"]);
        drop(place);
        assert!(admission.state().principals.is_empty());
        assert!(admission.state().turns.is_empty());
    }

    #[tokio::test]
    async fn who_fills_the_line_makes_room_for_others() {
        let admission = Admission::new(AdmissionLimits {
            running: 1,
            running_of_one: 1,
            waiting: 3,
        });
        let running = enters(&admission, "a").await.unwrap();
        let mut of_a: Vec<_> = (0..3).map(|_| Box::pin(admission.enter("a"))).collect();
        for enter in &mut of_a {
            assert!(futures::poll!(enter).is_pending());
        }
        assert!(admission.enter("a").await.is_err());
        let mut of_b = Box::pin(admission.enter("b"));
        assert!(futures::poll!(&mut of_b).is_pending());
        let turned_away = of_a.pop().unwrap().await.unwrap_err();
        assert_eq!(turned_away.kind(), ErrorKind::Busy, "{turned_away}");
        // Two and one: as even as three are.
        assert!(admission.enter("b").await.is_err());
        assert_eq!(admission.waiting(), 3);
        // Who went away when its turn had come leaves it to the next.
        drop(running);
        assert_eq!(admission.running(), 1);
        drop(of_a);
        assert!(of_b.await.is_ok());
        assert_eq!((admission.waiting(), admission.running()), (0, 0));
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
