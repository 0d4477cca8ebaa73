//! The thread that answers.

use crate::address::is_local;
use crate::api::renew::{MODEL, MODEL_PATH};
use crate::api::{self, Problem, Shared};
use crate::connections::{self as activity, Activity, Connections, Place};
use crate::deadline::Deadline;
use crate::history::History;
use crate::publish::publish;
use crate::rate::Bucket;
use crate::{Address, ServerError, Token};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use legonf_engine::monitor::Monitor;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Connections at once, at most.
const CONNECTIONS: usize = 256;
/// Bytes of the head of a request, and its lines, at most.
const HEAD: usize = 16 << 10;
const HEADERS: usize = 64;
/// Bytes of a body, at most.
pub(crate) const BODY: usize = 16 << 10;
/// How long the head of a request may take, a whole one, and a peer that reads nothing.
const HEAD_TIME: Duration = Duration::from_secs(10);
const REQUEST_TIME: Duration = Duration::from_secs(20);
const READ_TIME: Duration = Duration::from_secs(10);
/// Requests at once, and a second.
const BURST: f64 = 400.0;
const PER_SECOND: f64 = 200.0;
/// How long to wait where no connection can be taken, for want of files.
const PAUSE: Duration = Duration::from_millis(100);

/// A server that listens, and answers as soon as a run begins.
#[derive(Debug)]
pub struct Server {
    listener: StdListener,
    token: Option<Token>,
}

impl Server {
    /// Listens. Without a token nothing can be changed.
    ///
    /// # Errors
    /// If the address is taken, or not to be had.
    pub fn listen(address: Address, token: Option<Token>) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen { address: address.to_string(), source };
        let listener = StdListener::bind(address.socket()).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, token })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers from now on, in a thread of its own, for as long as the process lives.
    ///
    /// # Errors
    /// If there can be no such thread.
    pub fn start(self, monitor: &Arc<Monitor>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let monitor = monitor.clone();
        let serve = move || runtime.block_on(serve(self, monitor));
        std::thread::Builder::new().name("http".into()).spawn(serve).map(drop)
    }
}

async fn serve(server: Server, monitor: Arc<Monitor>) {
    let Ok(listener) = TcpListener::from_std(server.listener) else { return };
    let history = Arc::new(Mutex::new(History::default()));
    let (sender, updates) = watch::channel(Bytes::new());
    tokio::spawn(publish(monitor.clone(), history.clone(), sender));
    let router = api::router(Shared::new(monitor, history, updates, server.token));
    let (connections, bucket) = (Connections::new(CONNECTIONS), bucket());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => take(stream, &connections, &router, &bucket),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn bucket() -> Arc<Mutex<Bucket>> {
    Arc::new(Mutex::new(Bucket::new(BURST, PER_SECOND, Instant::now())))
}

/// Serves a connection in a task of its own, if there is room for it.
fn take(stream: TcpStream, connections: &Arc<Connections>, router: &Router, bucket: &Arc<Mutex<Bucket>>) {
    let activity = Activity::begin();
    let Some(place) = connections.place(&activity) else { return };
    let number = place.number();
    let task = tokio::spawn(connection(stream, (place, activity), router.clone(), bucket.clone()));
    connections.ends_by(number, task.abort_handle());
}

async fn connection(
    stream: TcpStream,
    (place, activity): (Place, Activity),
    router: Router,
    bucket: Arc<Mutex<Bucket>>,
) {
    let _ = stream.set_nodelay(true);
    let _place = place;
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, bucket, begun) = (router.clone(), bucket.clone(), activity.request());
        async move {
            let response = answer(router, &bucket, request).await;
            Ok::<_, Infallible>(response.map(|body| Held { body, _request: begun }))
        }
    });
    let io = TokioIo::new(Deadline::new(stream, READ_TIME));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD).max_headers(HEADERS);
    // Who goes away in the middle has nobody to answer to.
    let _ = server.serve_connection(io, service).await;
}

/// Answers a request, or says why not.
async fn answer(router: Router, bucket: &Mutex<Bucket>, request: Request<Incoming>) -> Response {
    let may = bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
    let host = request.headers().get(header::HOST).map(HeaderValue::to_str);
    let mut response = if !may {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests a second; try again").into_response()
    } else if host.is_some_and(|host| !host.is_ok_and(is_local)) {
        let reason = "the header Host names another machine; ask for 127.0.0.1, [::1] or localhost";
        Problem::new(StatusCode::FORBIDDEN, reason).into_response()
    } else if let Some(most) = exceeded(&request) {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has {most} bytes at most"))
            .into_response()
    } else {
        let answer = TowerToHyperService::new(router).call(request);
        match timeout(REQUEST_TIME, answer).await {
            Ok(Ok(response)) => response,
            Err(_) => Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response(),
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS_OF_ALL {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What the body of a request may have at most, where its head says that it has more.
fn exceeded(request: &Request<Incoming>) -> Option<usize> {
    let most = if request.uri().path() == MODEL_PATH { MODEL } else { BODY };
    let declared: u64 = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    (declared > most as u64).then_some(most)
}

/// What browsers may do with an answer: load nothing from elsewhere, show it nowhere else, and keep nothing.
const HEADERS_OF_ALL: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// A body with the request that it answers: for as long as it is sent, the connection is at work.
struct Held {
    body: Body,
    _request: activity::Request,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
