//! Hands an activity task to a worker: it counts as handed over once the answer is on its way.
//!
//! ```text
//!   take_activity_task ─▶ Reply::Task ─▶ TaskBody ── data ──▶ connection
//!                                            │ ◀─ flushed ──────┘
//!                                            └─▶ delivered
//! ```
//!
//! Whatever is dropped before — the poll with its caller, the body with its connection — leaves the task
//! to the next poll. The body does not tell its length: a connection that knows it drops the body with
//! the last byte still unsent, which could not be told from a lost connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use http_body::Frame;
use serde_json::Value;

use crate::services::callbacks::HandOver;

/// What an action answers.
pub enum Reply {
    /// An object.
    Json(Value),
    /// An object that is a task: somebody waits to hear that it was handed over.
    Task(Value, HandOver),
}

/// Called once the answer is on its way.
type OnDelivery = Box<dyn FnOnce() + Send>;

/// The body of an answer that is a task.
pub struct TaskBody {
    data: Option<Bytes>,
    flushed: bool,
    on_delivery: Option<OnDelivery>,
}

impl TaskBody {
    /// An answer and who waits for its delivery.
    pub fn new(text: String, hand_over: HandOver) -> Self {
        Self::with(text, Box::new(move || drop(tokio::spawn(async move { hand_over.delivered().await }))))
    }

    /// An answer, and what is done once it is on its way. Dropped undone if it never is.
    pub fn with(text: String, on_delivery: OnDelivery) -> Self {
        TaskBody { data: Some(Bytes::from(text)), flushed: false, on_delivery: Some(on_delivery) }
    }
}

impl HttpBody for TaskBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if !self.flushed {
            // A connection that has to wait for its body writes out what it has so far.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(on_delivery) = self.on_delivery.take() {
            on_delivery();
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    use super::*;

    fn body(text: &str) -> (TaskBody, Arc<AtomicBool>) {
        let told = Arc::new(AtomicBool::new(false));
        let teller = Arc::clone(&told);
        (TaskBody::with(text.to_owned(), Box::new(move || teller.store(true, Ordering::SeqCst))), told)
    }

    #[tokio::test]
    async fn a_body_read_to_its_end_is_delivered() {
        let (body, told) = body("task");
        let bytes = axum::body::to_bytes(Body::new(body), 100).await.unwrap();
        assert_eq!(&bytes[..], b"task");
        assert!(told.load(Ordering::SeqCst));
    }

    #[test]
    fn a_body_dropped_before_its_end_is_not_delivered() {
        let (mut body, told) = body("task");
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_ready());
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        drop(body);
        assert!(!told.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_real_connection_delivers() {
        let (tell, mut told) = mpsc::channel(1);
        let answer = move || {
            let tell = tell.clone();
            let on_delivery = Box::new(move || tell.try_send(()).unwrap());
            async move { Body::new(TaskBody::with("task".to_owned(), on_delivery)) }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server =
            tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(answer))).await });
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.contains("task"), "{text}");
        assert_eq!(told.recv().await, Some(()));
        server.abort();
    }
}
