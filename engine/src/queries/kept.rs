//! Plans of queries that were described, kept until their rows are asked for.
//!
//! Most clients fetch at once what they were told of. A plan is used again when it would come out the same: for the same
//! statement, values and versions, for the same caller with the same grants. A plan that is not there is made again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{Ready, Request};
use crate::Caller;

/// Plans that are kept; the oldest goes first.
const MOST_KEPT: usize = 64;

/// How long a plan is kept.
const KEPT_FOR: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Kept {
    query_id: Uuid,
    caller: Caller,
    ready: Ready,
    since: Instant,
}

impl Kept {
    /// Whether planning for this caller would give the same.
    fn is_of(&self, query_id: Uuid, request: &Request, caller: &Caller) -> bool {
        let own = &self.ready.request;
        self.query_id == query_id
            && self.caller.principal == caller.principal
            && self.caller.grants == caller.grants
            && own.sql == request.sql
            && own.parameters == request.parameters
            && own.session == request.session
            && Some(self.ready.pins()) == request.pins.as_ref()
    }
}

/// Plans by the queries that they were made for.
#[derive(Debug, Default)]
pub(super) struct KeptPlans(Mutex<VecDeque<Kept>>);

impl KeptPlans {
    /// Keeps a plan for a while.
    pub(super) fn keep(&self, query_id: Uuid, ready: Ready, caller: &Caller) {
        let kept = Kept {
            query_id,
            caller: caller.clone(),
            ready,
            since: Instant::now(),
        };
        let mut plans = self.of_late();
        if plans.len() == MOST_KEPT {
            plans.pop_front();
        }
        plans.push_back(kept);
    }

    /// Takes the plan of a query, if it is that of this request.
    pub(super) fn take(&self, query_id: Uuid, request: &Request, caller: &Caller) -> Option<Ready> {
        let mut plans = self.of_late();
        let place = plans
            .iter()
            .position(|kept| kept.is_of(query_id, request, caller))?;
        plans.remove(place).map(|kept| kept.ready)
    }

    /// Those that have not been kept for too long.
    fn of_late(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while plans
            .front()
            .is_some_and(|kept| kept.since.elapsed() > KEPT_FOR)
        {
            plans.pop_front();
        }
        plans
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixture::{Fixture, session};
    use crate::{Grants, Right};

    const NUMBERS: &str = "SELECT n FROM numbers";

    async fn fixture() -> Fixture {
        let fixture = Fixture::new().await;
        let made = "CREATE TABLE numbers (n BIGINT)";
        fixture
            .changes(&[made, "INSERT INTO numbers VALUES (1)"])
            .await;
        fixture
    }

    /// A query that was described, and what asks for its rows.
    async fn described(fixture: &Fixture, sql: &str) -> (Uuid, Request) {
        let request = Request {
            sql: sql.into(),
            parameters: Vec::new(),
            session: session(),
            pins: None,
        };
        let ready = fixture.queries.plan(request.clone(), &fixture.caller);
        let ready = ready.await.unwrap();
        let pins = Some(ready.pins().clone());
        let query_id = Uuid::now_v7();
        fixture.queries.keep(query_id, ready, &fixture.caller);
        (query_id, Request { pins, ..request })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn plan_is_taken_once_and_for_the_same_alone() {
        let fixture = fixture().await;
        let kept = &fixture.queries.kept;
        let (query_id, request) = described(&fixture, NUMBERS).await;
        let mut other = fixture.caller.clone();
        other.grants = Arc::new(Grants::only(vec![(
            Right::Read,
            "default.*".parse().unwrap(),
        )]));
        assert!(kept.take(query_id, &request, &other).is_none());
        let older = Request {
            pins: None,
            ..request.clone()
        };
        assert!(kept.take(query_id, &older, &fixture.caller).is_none());
        let mut elsewhere = request.clone();
        elsewhere.session.schema = "silver".to_owned();
        let caller = &fixture.caller;
        assert!(kept.take(query_id, &elsewhere, caller).is_none());
        assert!(kept.take(Uuid::now_v7(), &request, caller).is_none());
        assert!(kept.take(query_id, &request, caller).is_some());
        assert!(kept.take(query_id, &request, caller).is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn plan_of_what_is_not_pinned_is_made_again() {
        let fixture = fixture().await;
        for sql in [
            "SELECT 1",
            "SELECT n FROM numbers VERSION AS OF 1",
            "SELECT n FROM table_at_version('default.numbers', 1)",
            "SELECT count(*) FROM information_schema.tables, numbers",
            "SELECT count(*) FROM lakegate.queries",
        ] {
            let (query_id, request) = described(&fixture, sql).await;
            let kept = &fixture.queries.kept;
            assert!(
                kept.take(query_id, &request, &fixture.caller).is_none(),
                "{sql}"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn plan_over_a_table_that_was_made_anew_is_not_used() {
        let fixture = fixture().await;
        let (query_id, request) = described(&fixture, NUMBERS).await;
        let again = "CREATE TABLE numbers (n BIGINT)";
        fixture.changes(&["DROP TABLE numbers", again]).await;
        fixture.changes(&["INSERT INTO numbers VALUES (2)"]).await;
        let planned = fixture
            .queries
            .plan_again(query_id, request, &fixture.caller);
        assert!(planned.await.is_err());
    }
}
