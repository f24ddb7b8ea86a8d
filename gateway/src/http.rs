//! The HTTP door.
//!
//! | Path | Answer |
//! |---|---|
//! | `/health` | 200 while the process runs |
//! | `/ready` | 200 while queries are taken, 503 once the server is stopping |
//! | `/metrics` | numbers for Prometheus |

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use lakegate_engine::Queries;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::connections::Connections;
use crate::metrics::Metrics;

/// How long a client may take to ask, and hold a connection on which it asks nothing.
const HEADERS: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
struct Door {
    metrics: Arc<Metrics>,
    stopping: CancellationToken,
}

/// What answers on the HTTP door. `stopping` tells that no further queries are taken.
pub(crate) fn router(queries: Arc<Queries>, stopping: CancellationToken) -> Router {
    let door = Door {
        metrics: Arc::new(Metrics::new(queries)),
        stopping,
    };
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(door)
}

/// Answers clients until the door is closed, then those that have asked.
pub(crate) async fn serve(mut connections: Connections, router: Router, closed: CancellationToken) {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    let service = TowerToHyperService::new(router);
    let answering = GracefulShutdown::new();
    loop {
        let next = tokio::select! {
            () = closed.cancelled() => break,
            next = connections.next() => next,
        };
        let Some(Ok(connection)) = next else {
            break;
        };
        let answered = protocol.serve_connection(TokioIo::new(connection), service.clone());
        let answered = answering.watch(answered);
        tokio::spawn(async move {
            if let Err(error) = answered.await {
                debug!(%error, "a client was not answered");
            }
        });
    }
    drop(connections);
    answering.shutdown().await;
}

async fn health() -> &'static str {
    "ok\n"
}

async fn ready(State(door): State<Door>) -> Response {
    match door.stopping.is_cancelled() {
        false => "ready\n".into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response(),
    }
}

async fn metrics(State(door): State<Door>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match door.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(failure) => {
            error!(%failure, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
